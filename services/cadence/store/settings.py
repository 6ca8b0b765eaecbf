"""The numbers of a workspace, and when nobody is written to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from services.cadence.model.planning import Numbers
from services.cadence.store.people import encoded
from shared.db import Tx, rows

MOST_PAUSES = 500  # shown at once, the latest


async def save_numbers(tx: Tx, workspace: str, numbers: Numbers) -> None:
    """Keep the numbers of a workspace, and the words of its templates."""
    policy, caps = numbers.policy, numbers.caps
    await tx.execute(
        text(
            "INSERT INTO messaging_settings (workspace, grace_seconds, spacing_seconds,"
            " quiet_starts, quiet_ends, most_a_day, most_a_week, apart_seconds, words)"
            " VALUES (:workspace, :grace, :spacing, :quiet_starts, :quiet_ends, :most_a_day,"
            " :most_a_week, :apart, CAST(:words AS jsonb)) ON CONFLICT (workspace) DO UPDATE SET"
            " grace_seconds = excluded.grace_seconds, spacing_seconds = excluded.spacing_seconds,"
            " quiet_starts = excluded.quiet_starts, quiet_ends = excluded.quiet_ends,"
            " most_a_day = excluded.most_a_day, most_a_week = excluded.most_a_week,"
            " apart_seconds = excluded.apart_seconds, words = excluded.words"
        ),
        {
            "workspace": workspace,
            "grace": int(policy.grace.total_seconds()),
            "spacing": int(policy.spacing.total_seconds()),
            "quiet_starts": None if policy.quiet is None else policy.quiet.starts,
            "quiet_ends": None if policy.quiet is None else policy.quiet.ends,
            "most_a_day": caps.per_day,
            "most_a_week": caps.per_week,
            "apart": int(caps.spacing.total_seconds()),
            "words": encoded(dict(numbers.words)),
        },
    )


async def list_pauses(tx: Tx, workspace: str) -> Sequence[Any]:
    """The pauses of a workspace, the latest first; an empty person is everybody."""
    return await rows(
        tx,
        "SELECT user_id, starts_at, ends_at, by FROM pause WHERE workspace = :workspace"
        " ORDER BY starts_at DESC, user_id LIMIT :most",
        {"workspace": workspace, "most": MOST_PAUSES},
    )


async def save_pause(
    tx: Tx, workspace: str, user: str, starts_at: datetime, ends_at: datetime, *, by: str
) -> None:
    """Keep a pause; one that begins at the same instant gets this end."""
    await tx.execute(
        text(
            "INSERT INTO pause (workspace, user_id, starts_at, ends_at, by)"
            " VALUES (:workspace, :user, :starts_at, :ends_at, :by)"
            " ON CONFLICT (workspace, user_id, starts_at) DO UPDATE SET"
            " ends_at = excluded.ends_at, by = excluded.by"
        ),
        {
            "workspace": workspace,
            "user": user,
            "starts_at": starts_at,
            "ends_at": ends_at,
            "by": by,
        },
    )


async def delete_pause(tx: Tx, workspace: str, user: str, starts_at: datetime) -> bool:
    """Lift a pause; whether there was one."""
    lifted = await rows(
        tx,
        "DELETE FROM pause WHERE workspace = :workspace AND user_id = :user"
        " AND starts_at = :starts_at RETURNING 1",
        {"workspace": workspace, "user": user, "starts_at": starts_at},
    )
    return bool(lifted)
