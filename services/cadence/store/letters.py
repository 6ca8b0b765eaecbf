"""What was written, word for word, and where its links lead."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import text

from shared.db import Tx, rows


@dataclass(frozen=True, kw_only=True)
class StoredLetter:
    """A letter as it goes over the wire."""

    workspace: str
    identity: str
    message_id: str
    subject: str
    wire: bytes


class Link(NamedTuple):
    """Where a link of a message leads, by its opaque name."""

    token: str
    workspace: str
    identity: str
    position: int
    target: str
    is_trap: bool = False


async def append_letters(
    tx: Tx, letters: Sequence[StoredLetter], links: Sequence[Link], *, now: datetime
) -> None:
    """Keep what was written. What stands already stays: nothing is written twice."""
    if letters:
        await tx.execute(
            text(
                "INSERT INTO letter (workspace, identity, message_id, subject, wire, digest,"
                " written_at) SELECT *, :now FROM unnest(CAST(:workspaces AS text[]),"
                " CAST(:identities AS text[]), CAST(:message_ids AS text[]),"
                " CAST(:subjects AS text[]), CAST(:wires AS bytea[]), CAST(:digests AS bytea[]))"
                " ON CONFLICT DO NOTHING"
            ),
            {
                "workspaces": [letter.workspace for letter in letters],
                "identities": [letter.identity for letter in letters],
                "message_ids": [letter.message_id for letter in letters],
                "subjects": [letter.subject for letter in letters],
                "wires": [letter.wire for letter in letters],
                "digests": [sha256(letter.wire).digest() for letter in letters],
                "now": now,
            },
        )
    await _append_links(tx, links)


async def list_letters(
    tx: Tx, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], StoredLetter]:
    """The letters of these messages that are written already."""
    found = await rows(
        tx,
        "SELECT l.workspace, l.identity, l.message_id, l.subject, l.wire FROM letter l"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:identities AS text[]))"
        " AS u(workspace, identity) ON l.workspace = u.workspace AND l.identity = u.identity",
        {"workspaces": [key[0] for key in keys], "identities": [key[1] for key in keys]},
    )
    return {(row.workspace, row.identity): StoredLetter(**row._mapping) for row in found}  # noqa: SLF001


async def find_letter(tx: Tx, message_id: str) -> tuple[str, str] | None:
    """Workspace and identity of the message with that Message-ID."""
    found = await rows(
        tx, "SELECT workspace, identity FROM letter WHERE message_id = :id", {"id": message_id}
    )
    return (found[0].workspace, found[0].identity) if found else None


async def get_link(tx: Tx, token: str) -> Link | None:
    """Where the link of that name leads."""
    found = await rows(
        tx,
        "SELECT token, workspace, identity, position, target, trap FROM link WHERE token = :token",
        {"token": token},
    )
    return Link(*found[0]) if found else None


async def _append_links(tx: Tx, links: Sequence[Link]) -> None:
    if not links:
        return
    columns: dict[str, Any] = {
        "tokens": [link.token for link in links],
        "workspaces": [link.workspace for link in links],
        "identities": [link.identity for link in links],
        "positions": [link.position for link in links],
        "targets": [link.target for link in links],
        "traps": [link.is_trap for link in links],
    }
    await tx.execute(
        text(
            "INSERT INTO link (token, workspace, identity, position, target, trap)"
            " SELECT * FROM unnest(CAST(:tokens AS text[]), CAST(:workspaces AS text[]),"
            " CAST(:identities AS text[]), CAST(:positions AS integer[]),"
            " CAST(:targets AS text[]), CAST(:traps AS boolean[])) ON CONFLICT DO NOTHING"
        ),
        columns,
    )
