"""What was decided about dead letters, by whom, and what came of it."""

from typing import Any

from sqlalchemy import text

from shared.bus.tables.dead_letter_lists import SHOWN, where_all
from shared.bus.tables.dead_letters import MESSAGE_CHARACTERS, OPEN, storable
from shared.db import Tx, rows


async def load_dead_letter(tx: Tx, letter_id: str, workspace: str | None) -> Any | None:
    """One letter of a workspace (None: of any) with its whole record, locked; None without."""
    found = await rows(
        tx,
        f"SELECT {SHOWN}, value FROM dead_letter WHERE id = CAST(:id AS uuid)"
        " AND (CAST(:workspace AS text) IS NULL OR workspace = :workspace) FOR UPDATE",
        {"id": letter_id, "workspace": workspace},
    )
    return found[0] if found else None


async def is_behind_open(tx: Tx, letter: Any) -> bool:
    """Whether a letter before `letter` is open: of the same lane and key, or the one it names."""
    found = await rows(
        tx,
        f"SELECT EXISTS (SELECT FROM dead_letter WHERE id = :behind AND {OPEN})"
        " OR EXISTS (SELECT FROM dead_letter WHERE lane = :lane AND sha256(key) = sha256(:key)"
        f' AND key = :key AND topic = :topic AND part = :part AND "offset" < :offset AND {OPEN})'
        " AS is_behind",
        {
            "behind": letter.behind,
            "lane": letter.lane,
            "key": letter.key,
            "topic": letter.topic,
            "part": letter.part,
            "offset": letter.offset,
        },
    )
    return bool(found[0].is_behind)


async def save_redriven(tx: Tx, letter_id: str, *, by: str) -> None:
    """Note that a letter was applied after all, when and by whom."""
    await tx.execute(
        text(
            "UPDATE dead_letter SET redriven_at = now(), redriven_by = :by, last_tried_at = now()"
            " WHERE id = CAST(:id AS uuid)"
        ),
        {"id": letter_id, "by": by},
    )


async def save_tried(tx: Tx, letter_id: str) -> None:
    """Note that a letter was tried and is still broken."""
    await tx.execute(
        text("UPDATE dead_letter SET last_tried_at = now() WHERE id = CAST(:id AS uuid)"),
        {"id": letter_id},
    )


async def save_discarded(tx: Tx, letter_id: str, *, by: str) -> None:
    """Note that a letter shall never be applied, since when and by whose word."""
    await tx.execute(
        text(
            "UPDATE dead_letter SET discarded_at = now(), discarded_by = :by"
            " WHERE id = CAST(:id AS uuid)"
        ),
        {"id": letter_id, "by": by},
    )


async def append_audit(
    tx: Tx, letter: Any, *, by: str, action: str, outcome: str, message: str | None
) -> None:
    """Write down who did what about a letter, and what came of it."""
    await tx.execute(
        text(
            "INSERT INTO dead_letter_audit (by, action, workspace, dead_letter, outcome, message)"
            " VALUES (:by, :action, :workspace, :letter, :outcome, :message)"
        ),
        {
            "by": by,
            "action": action,
            "workspace": letter.workspace,
            "letter": letter.id,
            "outcome": outcome,
            "message": None if message is None else storable(message)[:MESSAGE_CHARACTERS],
        },
    )


async def list_audit(
    tx: Tx, workspace: str | None, *, letter_id: str | None, after: int | None, limit: int
) -> list[Any]:
    """What was done about the letters of a workspace (None: of all), newest first."""
    given = {
        "workspace = :workspace": ("workspace", workspace),
        "dead_letter = CAST(:letter_id AS uuid)": ("letter_id", letter_id),
        "id < :after": ("after", after),
    }
    wanted = {condition: pair for condition, pair in given.items() if pair[1] is not None}
    return await rows(
        tx,
        "SELECT id, at, by, action, workspace, dead_letter, outcome, message"
        f" FROM dead_letter_audit{where_all(list(wanted))} ORDER BY id DESC LIMIT :limit",
        dict(wanted.values()) | {"limit": limit},
    )
