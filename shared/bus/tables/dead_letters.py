"""Records that were given up, with the reason; they stay as the audit when redriven."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from sqlalchemy import text

from shared.bus.record import Record
from shared.db import Tx, rows
from shared.events.base import Envelope


class DeadLetter(NamedTuple):
    """A record that is given up, with the reason."""

    id: str
    record: Record
    envelope: Envelope | None
    code: str
    message: str


def dead_letter(
    record: Record, envelope: Envelope | None, *, code: str, message: str
) -> DeadLetter:
    """A new dead letter for `record`. The message is cut at 2,000 characters."""
    return DeadLetter(str(uuid4()), record, envelope, code, message[:2000])


async def append_dead_letters(tx: Tx, lane: str, letters: Sequence[DeadLetter]) -> None:
    """Keep records that are given up, in the transaction that passes their offset."""
    for letter in letters:
        envelope, record = letter.envelope, letter.record
        await tx.execute(
            text(
                "INSERT INTO dead_letter (id, workspace, event_id, event_type, lane, topic, part,"
                ' "offset", key, value, headers, code, message)'
                " VALUES (CAST(:id AS uuid), :workspace, :event_id, :event_type, :lane, :topic,"
                " :part, :offset, :key, :value, CAST(:headers AS jsonb), :code, :message)"
                " ON CONFLICT DO NOTHING"
            ),
            {
                "id": letter.id,
                "workspace": envelope.workspace if envelope else _workspace_of_key(record),
                "event_id": envelope.id if envelope else None,
                "event_type": envelope.type if envelope else None,
                "lane": lane,
                "topic": record.topic,
                "part": record.partition,
                "offset": record.offset,
                "key": record.key,
                "value": record.value,
                "headers": _headers_json(record),
                "code": letter.code,
                "message": letter.message.replace("\x00", ""),
            },
        )


def _workspace_of_key(record: Record) -> str | None:
    """The workspace that a broken record belongs to: its key begins with it."""
    return (record.key or b"").decode("utf-8", "replace").partition("/")[0] or None


async def list_dead_letters(
    tx: Tx, workspace: str, *, after: tuple[datetime, str] | None, limit: int
) -> list[Any]:
    """Dead letters of a workspace, newest first; behind the one of this time and id if given."""
    at, letter_id = after or (None, None)
    return await rows(
        tx,
        'SELECT id, event_id, event_type, lane, topic, part, "offset", code, message, value,'
        " dead_at, redriven_at, redriven_by FROM dead_letter"
        " WHERE workspace = :workspace AND (CAST(:at AS timestamptz) IS NULL"
        " OR (dead_at, id) < (:at, CAST(:id AS uuid))) ORDER BY dead_at DESC, id DESC LIMIT :limit",
        {"workspace": workspace, "at": at, "id": letter_id, "limit": limit},
    )


async def load_dead_letter(tx: Tx, letter_id: str) -> Any | None:
    """One dead letter with its record, locked; None when there is none."""
    found = await rows(
        tx,
        'SELECT id, workspace, lane, topic, part AS partition, "offset", key, value, dead_at,'
        " redriven_at FROM dead_letter WHERE id = CAST(:id AS uuid) FOR UPDATE",
        {"id": letter_id},
    )
    return found[0] if found else None


async def save_redriven(tx: Tx, letter_id: str, *, by: str) -> None:
    """Note that a dead letter was applied after all, when and by whom."""
    await tx.execute(
        text(
            "UPDATE dead_letter SET redriven_at = now(), redriven_by = :by"
            " WHERE id = CAST(:id AS uuid)"
        ),
        {"id": letter_id, "by": by},
    )


def _headers_json(record: Record) -> str:
    """The record's headers as a JSON list of pairs; bytes that are no text are shown escaped."""
    pairs = [(name, value.decode("utf-8", "backslashreplace")) for name, value in record.headers]
    return msgspec.json.encode(pairs).decode().replace("\\u0000", "")
