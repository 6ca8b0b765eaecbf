"""Books accounts anew from what is known of them: their steps, and what they add to months.

Whoever calls holds the ledger of the workspace.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from services.metrics.model.calendar import month_at, starts_at
from services.metrics.model.intervals import Change, change_to
from services.metrics.model.knowledge import Knowledge, appended_to, cause_at, versions_of
from services.metrics.model.movements import jumps_from
from services.metrics.model.restated import Cause
from services.metrics.model.tally import EMPTY, Tally, tallies_of_jumps
from services.metrics.model.timeline import Step, Timeline, currencies_of, in_common
from services.metrics.store import accounts, rollups, steps
from services.metrics.store.accounts import Account
from services.metrics.store.knowledge import get_knowledge
from services.metrics.store.ledger import Ledger
from services.metrics.store.rollups import Cell
from services.metrics.store.steps import StepRow
from shared.db import Tx

ACCOUNTS_AT_ONCE = 500  # bounds memory, not the result


class Touch(NamedTuple):
    """Since when more is known of an account, and by which event."""

    since: datetime
    event: str


Touches = dict[str, Touch]
"""By account."""


def touch(touches: Touches, account: str, how: Touch) -> None:
    """Note that an account was touched, once more or for the first time."""
    touches[account] = min(how, touches.get(account, how))


class Rebooked(NamedTuple):
    """An account whose steps are not what they were."""

    account: str
    touch: Touch
    cause: Cause
    before: Timeline
    after: Timeline
    change: Change[datetime, Step]


async def rebook(tx: Tx, ledger: Ledger, touches: Mapping[str, Touch]) -> list[Rebooked]:
    """Fold the touched accounts anew; those that changed."""
    listed = sorted(touches)
    rebooked: list[Rebooked] = []
    for start in range(0, len(listed), ACCOUNTS_AT_ONCE):
        chunk = {account: touches[account] for account in listed[start : start + ACCOUNTS_AT_ONCE]}
        rebooked += await _rebook_chunk(tx, ledger, chunk)
    return rebooked


async def _rebook_chunk(tx: Tx, ledger: Ledger, touches: Mapping[str, Touch]) -> list[Rebooked]:
    known = await get_knowledge(tx, ledger.workspace, touches)
    since = min(how.since for how in touches.values())
    kept = await steps.list_believed(tx, ledger.workspace, touches, since=since)
    rebooked = [
        booked
        for account, how in touches.items()
        if (booked := _rebooked(known[account], kept[account], how)) is not None
    ]
    await steps.save_changes(tx, ledger.workspace, {b.account: b.change for b in rebooked})
    await _count(tx, ledger, await accounts.load_accounts(tx, ledger.workspace, touches), rebooked)
    return rebooked


def _rebooked(knowledge: Knowledge, kept: Sequence[StepRow], how: Touch) -> Rebooked | None:
    standing = [row for row in kept if row.known_to is None or row.known_to >= how.since]
    before = tuple(row.value for row in kept if row.known_to is None)
    appended = appended_to(knowledge, standing, how.since)
    if appended is not None:
        change, after = appended
    else:
        versions = versions_of(knowledge, how.since)
        change = change_to(standing, versions)
        after = tuple(step for _, step in sorted(versions[-1].values.items()))
    if not change:
        return None
    cause = cause_at(knowledge, how.since)
    return Rebooked(knowledge.account, how, cause, before, after, change)


async def _count(
    tx: Tx, ledger: Ledger, known: Mapping[str, Account], rebooked: Collection[Rebooked]
) -> None:
    """Let the rollups hold what the accounts add now instead of what they added."""
    added: dict[Cell, Tally] = {}
    for booked in rebooked:
        account = known[booked.account]
        if account.counted:
            start = first_touched(booked.before, booked.after, ledger.time_zone)
            for timeline, times in ((booked.before, -1), (booked.after, 1)):
                add_timeline(added, account, timeline, ledger.time_zone, times=times, start=start)
    await rollups.add(tx, ledger.workspace, added)
    had = {b.account: sorted(currencies_of(b.after)) for b in rebooked}
    await accounts.save_currencies(
        tx,
        ledger.workspace,
        {
            account: currencies
            for account, currencies in had.items()
            if tuple(currencies) != known[account].currencies
        },
    )


def first_touched(before: Timeline, after: Timeline, zone: str) -> int:
    """Index of the first step of both whose month may add something else now.

    0 where the account is or was in no rollup: then none of its months adds what it added.
    """
    same = in_common(before, after)
    if len(currencies_of(before)) > 1 or len(currencies_of(after)) > 1:
        return 0
    changed = [timeline[same].at for timeline in (before, after) if same < len(timeline)]
    if not changed:
        return same
    month = starts_at(month_at(min(changed), zone), zone)
    return bisect_left(after[:same], month, key=attrgetter("at"))


def add_timeline(
    added: dict[Cell, Tally],
    account: Account,
    timeline: Timeline,
    zone: str,
    *,
    times: int,
    start: int = 0,
) -> None:
    """Add what an account adds to each month, `times` 1 or -1, to every part that it is in.

    Of the months from the step with index `start` on, which is the first of its month.

    One that ever had several currencies stands in no rollup: a rate decides what its movements are.
    """
    currencies = currencies_of(timeline)
    if len(currencies) != 1:
        return
    (currency,) = currencies
    parts = rollups.parts_of(account.segment)
    jumps = jumps_from(timeline, start)
    for month, tally in tallies_of_jumps(jumps, currency, zone).items():
        more = tally if times == 1 else tally.negated()
        for part in parts:
            cell = Cell(part, month, currency)
            added[cell] = added.get(cell, EMPTY).plus(more)
