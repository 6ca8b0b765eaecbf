"""Books accounts anew from what is known of them: their steps, and what they add to months.

Whoever calls holds the ledger of the workspace.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from services.metrics.model.calendar import month_at, starts_at
from services.metrics.model.continuation import CarriedOn, carried_on, continuation_of
from services.metrics.model.intervals import Change, change_to
from services.metrics.model.knowledge import (
    Knowledge,
    StateRecord,
    appended_to,
    cause_at,
    homes_of,
    versions_of,
)
from services.metrics.model.movements import jumps_from
from services.metrics.model.restated import Cause
from services.metrics.model.tally import EMPTY, Tally, tallies_of_jumps
from services.metrics.model.timeline import Step, Timeline, currencies_of, in_common
from services.metrics.store import accounts, claimants, rollups, steps
from services.metrics.store.accounts import Account, Kept
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
    """An account whose steps are not what they were.

    `before` and `after` may be the ends of its timelines, from the start of a month on; `paid`: it
    had paid before them.
    """

    account: str
    touch: Touch
    cause: Cause
    before: Timeline
    after: Timeline
    change: Change[datetime, Step]
    paid: bool = False


Learned = Mapping[str, Sequence[StateRecord]]
"""States that are all that was learned of an account, by account."""
NOTHING_ELSE: Learned = MappingProxyType({})


async def rebook(
    tx: Tx, ledger: Ledger, touches: Mapping[str, Touch], learned: Learned = NOTHING_ELSE
) -> list[Rebooked]:
    """Book the touched accounts: carried on where that says the same, else folded anew.

    Those that changed.
    """
    rivals = await _rivals(tx, ledger, touches)
    every = dict(touches)
    for account, how in rivals.items():
        touch(every, account, how)
    alone = {account: states for account, states in learned.items() if account not in rivals}
    listed = sorted(every)
    rebooked: list[Rebooked] = []
    for start in range(0, len(listed), ACCOUNTS_AT_ONCE):
        chunk = {account: every[account] for account in listed[start : start + ACCOUNTS_AT_ONCE]}
        rebooked += await _rebook_chunk(tx, ledger, chunk, alone)
    return rebooked


async def _rivals(tx: Tx, ledger: Ledger, touches: Mapping[str, Touch]) -> Touches:
    """All accounts that claim a subscription which a touched one claims too: what is learned of
    one may decide whose it is.
    """
    claims = await claimants.list_claims(tx, ledger.workspace, touches)
    if not claims:
        return {}
    claiming = {claim.account for claim in claims}
    aliases = await accounts.list_aliases(tx, ledger.workspace, claiming)
    by_subscription: defaultdict[str, set[str]] = defaultdict(set)
    for subscription, account in claims:
        by_subscription[subscription].add(account)
    rivals: Touches = {}
    for claimed_by in by_subscription.values():
        how = min(touches[account] for account in claimed_by if account in touches)
        for account in claimed_by:
            for home in homes_of(account, aliases):
                touch(rivals, home, how)
    return rivals


async def _rebook_chunk(
    tx: Tx, ledger: Ledger, touches: Mapping[str, Touch], learned: Learned
) -> list[Rebooked]:
    known = await accounts.load_accounts(tx, ledger.workspace, touches)
    carried = _carried(known, learned)
    rest = {account: how for account, how in touches.items() if account not in carried}
    rebooked, kept = await _fold_anew(tx, ledger, rest) if rest else ([], {})
    if carried:
        rebooked += await _append(tx, ledger, touches, known, carried)
        kept |= {
            account: Kept(_currencies(known[account], each), each.continuation)
            for account, each in carried.items()
        }
    await steps.save_changes(tx, ledger.workspace, {b.account: b.change for b in rebooked})
    await _count(tx, ledger, known, rebooked)
    changed = {
        account: each
        for account, each in kept.items()
        if each != (known[account].currencies, known[account].continuation)
    }
    await accounts.save_kept(tx, ledger.workspace, changed)
    return rebooked


# --- carrying on ---------------------------------------------------------------------------------


def _carried(known: Mapping[str, Account], learned: Learned) -> dict[str, CarriedOn]:
    """The accounts whose states only continue their past, in the one currency that they have."""
    carried: dict[str, CarriedOn] = {}
    for account, records in learned.items():
        before = known[account].continuation if account in known else None
        found = None if before is None else carried_on(before, records)
        if found is not None and len(_currencies(known[account], found)) <= 1:
            carried[account] = found
    return carried


def _currencies(account: Account, carried: CarriedOn) -> tuple[str, ...]:
    added = currencies_of(tuple(row.value for row in carried.added))
    return tuple(sorted({*account.currencies, *added}))


async def _append(
    tx: Tx,
    ledger: Ledger,
    touches: Mapping[str, Touch],
    known: Mapping[str, Account],
    carried: Mapping[str, CarriedOn],
) -> list[Rebooked]:
    """The accounts to which steps come behind, with what stands in the months of these."""
    zone = ledger.time_zone
    growing = {account: each for account, each in carried.items() if each.added}
    since = {
        account: starts_at(month_at(each.added[0].key, zone), zone)
        for account, each in growing.items()
    }
    ends = await steps.list_ends(tx, ledger.workspace, since)
    rebooked = []
    for account, each in growing.items():
        before, place = ends[account], known[account].continuation
        first_paid = None if place is None else place.first_paid_at
        rebooked.append(
            Rebooked(
                account,
                touches[account],
                Cause.LATE,
                before,
                (*before, *(row.value for row in each.added)),
                Change(added=each.added, closed=(), removed=()),
                paid=first_paid is not None and (not before or first_paid < before[0].at),
            )
        )
    return rebooked


# --- folding anew --------------------------------------------------------------------------------


async def _fold_anew(
    tx: Tx, ledger: Ledger, touches: Mapping[str, Touch]
) -> tuple[list[Rebooked], dict[str, Kept]]:
    """The accounts folded from all that is known; those that changed, and what to keep of all."""
    known = await get_knowledge(tx, ledger.workspace, touches)
    since = min(how.since for how in touches.values())
    believed = await steps.list_believed(tx, ledger.workspace, touches, since=since)
    rebooked: list[Rebooked] = []
    kept: dict[str, Kept] = {}
    for account, how in touches.items():
        booked = _rebooked(known[account], believed[account], how)
        kept[account] = Kept(
            tuple(sorted(currencies_of(booked.after))),
            continuation_of(known[account], booked.after),
        )
        if booked.change:
            rebooked.append(booked)
    return rebooked, kept


def _rebooked(knowledge: Knowledge, kept: Sequence[StepRow], how: Touch) -> Rebooked:
    standing = [row for row in kept if row.known_to is None or row.known_to >= how.since]
    before = tuple(row.value for row in kept if row.known_to is None)
    appended = appended_to(knowledge, standing, how.since)
    if appended is not None:
        change, after = appended
    else:
        versions = versions_of(knowledge, how.since)
        change = change_to(standing, versions)
        after = tuple(step for _, step in sorted(versions[-1].values.items()))
    cause = cause_at(knowledge, how.since)
    return Rebooked(knowledge.account, how, cause, before, after, change)


# --- what accounts add to months -----------------------------------------------------------------


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
                end = End(timeline, start, booked.paid)
                add_timeline(added, account, end, ledger.time_zone, times=times)
    await rollups.add(tx, ledger.workspace, added)


class End(NamedTuple):
    """The steps of a timeline from index `start` on, the first of its month; `paid` before all."""

    timeline: Timeline
    start: int = 0
    paid: bool = False


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
    added: dict[Cell, Tally], account: Account, end: End, zone: str, *, times: int
) -> None:
    """Add what an account adds to each month, `times` 1 or -1, to every part that it is in.

    One that ever had several currencies stands in no rollup: a rate decides what its movements are.
    """
    currencies = currencies_of(end.timeline)
    if len(currencies) != 1:
        return
    (currency,) = currencies
    parts = rollups.parts_of(account.segment)
    jumps = jumps_from(end.timeline, end.start, paid=end.paid)
    for month, tally in tallies_of_jumps(jumps, currency, zone).items():
        more = tally if times == 1 else tally.negated()
        for part in parts:
            cell = Cell(part, month, currency)
            added[cell] = added.get(cell, EMPTY).plus(more)
