"""Movements that are known before they are in force: published when their time comes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from shared.db import Tx, rows


class Scheduled(NamedTuple):
    """A movement to come of an account."""

    workspace: str
    account: str
    at: datetime


async def append_scheduled(tx: Tx, movements: Sequence[Scheduled]) -> None:
    """Note movements to come."""
    if movements:
        await tx.execute(
            text(
                "INSERT INTO scheduled_movement (workspace, account, at) SELECT * FROM"
                " unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[]),"
                " CAST(:at AS timestamptz[])) ON CONFLICT DO NOTHING"
            ),
            _columns(movements),
        )


async def delete_scheduled(tx: Tx, movements: Collection[Scheduled]) -> None:
    """Forget movements that were published, or do not come any more."""
    if movements:
        await tx.execute(
            text(
                "DELETE FROM scheduled_movement s USING unnest(CAST(:workspaces AS text[]),"
                " CAST(:accounts AS text[]), CAST(:at AS timestamptz[]))"
                " AS u(workspace, account, at) WHERE s.workspace = u.workspace"
                " AND s.account = u.account AND s.at = u.at"
            ),
            _columns(movements),
        )


async def load_due(tx: Tx, *, now: datetime, limit: int) -> list[Scheduled]:
    """Movements whose time has come, the oldest first, locked; others' locked ones left out."""
    found = await rows(
        tx,
        "SELECT workspace, account, at FROM scheduled_movement WHERE at <= :now"
        " ORDER BY at, workspace, account LIMIT :limit FOR UPDATE SKIP LOCKED",
        {"now": now, "limit": limit},
    )
    return [Scheduled(*row) for row in found]


def _columns(movements: Collection[Scheduled]) -> dict[str, list[str] | list[datetime]]:
    listed = sorted(movements)
    return {
        "workspaces": [movement.workspace for movement in listed],
        "accounts": [movement.account for movement in listed],
        "at": [movement.at for movement in listed],
    }
