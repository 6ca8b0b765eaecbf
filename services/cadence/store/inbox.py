"""The in-app channel: what lies in a person's inbox. A message lies there once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from services.cadence.model.message import Message
from shared.db import Tx, rows

# Beyond every place that a list can be at.
BEGINNING = 2**62


async def append_item(
    tx: Tx, message: Message, *, title: str, body_html: str, body_text: str
) -> None:
    """Lay a message in its person's inbox; one that lies there already stays as it is."""
    await tx.execute(
        text(
            "INSERT INTO inbox_item (workspace, identity, user_id, at, title, body_html, body_text)"
            " VALUES (:workspace, :identity, :user, now(), :title, :html, :text)"
            " ON CONFLICT DO NOTHING"
        ),
        {
            "workspace": message.workspace,
            "identity": message.identity,
            "user": message.user,
            "title": title,
            "html": body_html,
            "text": body_text,
        },
    )


async def list_items(
    tx: Tx, workspace: str, user: str, *, before: int, limit: int
) -> Sequence[Any]:
    """What lies in a person's inbox, the newest first, from a place on."""
    return await rows(
        tx,
        "SELECT number, identity, at, title, body_html, body_text, read_at FROM inbox_item"
        " WHERE workspace = :workspace AND user_id = :user AND number < :before"
        " ORDER BY number DESC LIMIT :limit",
        {"workspace": workspace, "user": user, "before": before, "limit": limit},
    )


async def note_read(tx: Tx, workspace: str, identity: str, *, now: datetime) -> datetime | None:
    """Note that a message was read; when it was first. None where it lies in no inbox."""
    found = await rows(
        tx,
        "UPDATE inbox_item SET read_at = coalesce(read_at, :now)"
        " WHERE workspace = :workspace AND identity = :identity RETURNING read_at",
        {"workspace": workspace, "identity": identity, "now": now},
    )
    return found[0].read_at if found else None
