"""What people may be written to about: the newest word on each topic."""

from datetime import datetime

from shared.db import Tx, rows


async def withdraw(tx: Tx, workspace: str, user: str, topic: str, *, now: datetime) -> bool:
    """Note that a person wants no more of a topic, or of `all`; whether that is news."""
    changed = await rows(
        tx,
        "INSERT INTO consent AS c (workspace, user_id, topic, granted, at)"
        " VALUES (:workspace, :user, :topic, false, :now)"
        " ON CONFLICT (workspace, user_id, topic) DO UPDATE SET granted = false,"
        " at = greatest(c.at, excluded.at) WHERE c.granted RETURNING 1",
        {"workspace": workspace, "user": user, "topic": topic, "now": now},
    )
    return bool(changed)
