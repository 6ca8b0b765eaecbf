"""Rates whose effect on accounts is still to be told: a job does it, some accounts at a time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from services.metrics.model.calendar import Month
from services.metrics.store.rollups import first_day, month_of
from shared.db import Tx, rows


class Stated(NamedTuple):
    """Of which currency and month a rate is."""

    currency: str
    month: Month


class RateDue(NamedTuple):
    """From `due_at` on a rate changes what was told of accounts."""

    workspace: str
    due_at: datetime
    rate: Stated


class Due(NamedTuple):
    """The rates that are due at one instant, and behind which account they are still to be told."""

    workspace: str
    due_at: datetime
    rates: Sequence[Stated]
    after: str


async def append_due(tx: Tx, rates: Collection[RateDue]) -> None:
    """Note rates whose effect is to be told; one that is noted stands as it is."""
    if rates:
        listed = sorted(rates)
        await tx.execute(
            text(
                "INSERT INTO rate_due (workspace, currency, month, due_at) SELECT * FROM"
                " unnest(CAST(:workspaces AS text[]), CAST(:currencies AS text[]),"
                " CAST(:months AS date[]), CAST(:due AS timestamptz[])) ON CONFLICT DO NOTHING"
            ),
            {
                "workspaces": [each.workspace for each in listed],
                "currencies": [each.rate.currency for each in listed],
                "months": [first_day(each.rate.month) for each in listed],
                "due": [each.due_at for each in listed],
            },
        )


async def load_due(tx: Tx, *, now: datetime) -> Due | None:
    """The rates that are due the longest, locked; None where none are."""
    first = (
        "SELECT workspace, due_at FROM rate_due WHERE due_at <= :now"
        " ORDER BY due_at, workspace LIMIT 1"
    )
    found = await rows(
        tx,
        "SELECT workspace, due_at, currency, month, after FROM rate_due"
        f" WHERE (workspace, due_at) = ({first}) ORDER BY currency, month FOR UPDATE",
        {"now": now},
    )
    if not found:
        return None
    rates = [Stated(row.currency, month_of(row.month)) for row in found]
    return Due(found[0].workspace, found[0].due_at, rates, min(row.after for row in found))


async def save_place(tx: Tx, due: Due, *, after: str) -> None:
    """Note behind which account the rates are still to be told."""
    await tx.execute(
        text(
            "UPDATE rate_due SET after = :after WHERE workspace = :workspace AND due_at = :due_at"
        ),
        {"workspace": due.workspace, "due_at": due.due_at, "after": after},
    )


async def delete_due(tx: Tx, due: Due) -> None:
    """Forget rates that were told to all."""
    await tx.execute(
        text("DELETE FROM rate_due WHERE workspace = :workspace AND due_at = :due_at"),
        {"workspace": due.workspace, "due_at": due.due_at},
    )


async def list_holders(
    tx: Tx, workspace: str, currencies: Collection[str], *, after: str, limit: int
) -> list[str]:
    """The next counted accounts behind `after` that ever held one of the currencies, by id."""
    found = await rows(
        tx,
        "SELECT account FROM account WHERE workspace = :workspace AND counted"
        " AND account > :after AND currencies && CAST(:currencies AS text[])"
        " ORDER BY account LIMIT :limit",
        {
            "workspace": workspace,
            "currencies": sorted(currencies),
            "after": after,
            "limit": limit,
        },
    )
    return [row.account for row in found]
