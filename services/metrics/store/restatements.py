"""Restatements: months that had ended and were told otherwise later, listed by what was learned.

Read off the record intervals of steps: what was believed just before a record time, and from it on.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple, cast

from services.metrics.model.calendar import Month, month_at, months_between, starts_at
from services.metrics.model.identity import FactName, name_of
from services.metrics.model.intervals import believed_at
from services.metrics.model.knowledge import (
    Knowledge,
    cause_at,
    facts_in_force,
    learned_at,
)
from services.metrics.model.money import NOTHING, Amounts, Rates, rates_of, worth
from services.metrics.model.months import opening_of
from services.metrics.model.restated import Cause, restated
from services.metrics.model.timeline import Timeline, amounts_before
from services.metrics.store import facts, reports, steps
from services.metrics.store.facts import FactType
from services.metrics.store.knowledge import get_knowledge
from services.metrics.store.reports import View
from services.metrics.store.steps import StepRow
from shared.db import Tx, rows
from shared.events.billing import FxRate


class Learned(NamedTuple):
    """Something that was learned of an account at a record time; '' for the whole workspace."""

    known_at: datetime
    account: str


class Restatement(NamedTuple):
    """What changed of ended months, at which record time, and why."""

    learned: Learned
    cause: Cause
    facts: Sequence[FactName]
    months: Mapping[Month, Fraction]
    """The change of each month's closing balance, in the reporting currency."""


async def list_restatements(
    tx: Tx, view: View, *, since: datetime, after: Learned | None, limit: int
) -> list[Restatement]:
    """The next restatements behind `after` that became known from `since` on, in that order."""
    found: list[Restatement] = []
    rates = await _late_rates(tx, view, since)
    while len(found) < limit:
        page = await _list_learned(tx, view, since=since, after=after, limit=limit)
        passed = page[-1] if len(page) == limit else None
        of_rates = [
            learned
            for learned in rates
            if (after is None or learned > after) and (passed is None or learned <= passed)
        ]
        found += await _of_accounts(tx, view, page)
        found += [await _of_rates(tx, view, learned, rates[learned]) for learned in of_rates]
        if passed is None:
            break
        after = passed
    return sorted(found, key=lambda each: each.learned)[:limit]


async def _list_learned(
    tx: Tx, view: View, *, since: datetime, after: Learned | None, limit: int
) -> list[Learned]:
    """Where steps of ended months began or ceased to be believed."""
    month_begin = "(date_trunc('month', {0} AT TIME ZONE :zone) AT TIME ZONE :zone)"
    parts = [
        f"SELECT {column} AS known_at, account FROM step WHERE workspace = :workspace"
        f" AND {column} >= :since AND at < {month_begin.format(column)}"
        for column in ("known_from", "known_to")
    ]
    found = await rows(
        tx,
        f"SELECT known_at, account FROM ({' UNION '.join(parts)}) AS learned"
        " WHERE CAST(:after_at AS timestamptz) IS NULL"
        "   OR (known_at, account) > (CAST(:after_at AS timestamptz), :after_account)"
        " ORDER BY known_at, account LIMIT :limit",
        {
            "workspace": view.workspace,
            "zone": view.zone,
            "since": since,
            "after_at": None if after is None else after.known_at,
            "after_account": "" if after is None else after.account,
            "limit": limit,
        },
    )
    return [Learned(*row) for row in found]


async def _of_accounts(tx: Tx, view: View, page: Collection[Learned]) -> list[Restatement]:
    if not page:
        return []
    named = {learned.account for learned in page}
    since = min(learned.known_at for learned in page)
    believed = await steps.list_believed(tx, view.workspace, named, since=since)
    known = await get_knowledge(tx, view.workspace, named)
    listed = [
        _restatement(view, learned, believed[learned.account], known[learned.account])
        for learned in page
    ]
    return [restatement for restatement in listed if restatement.months]


def _restatement(
    view: View, learned: Learned, believed: Sequence[StepRow], known: Knowledge
) -> Restatement:
    at = learned.known_at
    before: Timeline = tuple(
        row.value
        for row in believed
        if row.known_from < at and (row.known_to is None or row.known_to >= at)
    )
    after: Timeline = tuple(step for _, step in sorted(believed_at(believed, at).items()))
    changed = restated(before, after, view.zone, month_at(at, view.zone).previous)
    return Restatement(
        learned,
        cause_at(known, at),
        learned_at(known, at),
        {month: worth(change, view.rates, month) for month, change in sorted(changed.items())},
    )


# --- rates ---------------------------------------------------------------------------------------


async def _late_rates(tx: Tx, view: View, since: datetime) -> dict[Learned, list[FxRate]]:
    """The rates that were recorded once their month had ended, by when."""
    late: dict[Learned, list[FxRate]] = {}
    for fact in await _rates(tx, view):
        assert fact.recorded_at is not None
        month = month_at(fact.recorded_at, view.zone)
        if fact.recorded_at >= since and Month.of(fact.month) < month:
            late.setdefault(Learned(fact.recorded_at, ""), []).append(fact)
    return late


async def _rates(tx: Tx, view: View) -> list[FxRate]:
    listed = await facts.list_of_types(
        tx, view.workspace, (FactType.FX_RATE,), known_at=view.known_at
    )
    return [cast("FxRate", fact) for fact in facts_in_force(listed)]


async def _of_rates(tx: Tx, view: View, learned: Learned, late: Sequence[FxRate]) -> Restatement:
    """What rates changed of the months from theirs on, by the balances held in their currencies."""
    known = [
        each
        for each in await _rates(tx, view)
        if each.recorded_at is not None and each.recorded_at <= learned.known_at
    ]
    names = {name_of(fact) for fact in late}
    now = rates_of(known, view.currency)
    before = rates_of((each for each in known if name_of(each) not in names), view.currency)
    first = min(Month.of(fact.month) for fact in late)
    last = month_at(learned.known_at, view.zone).previous
    balances = await _closing_balances(tx, view, first, last)
    changes = {month: _revalued(held, before, now, month) for month, held in balances.items()}
    return Restatement(
        learned,
        Cause.RATE,
        sorted(names),
        {month: change for month, change in changes.items() if change},
    )


def _revalued(held: Amounts, before: Rates, now: Rates, month: Month) -> Fraction:
    return worth(held, now, month) - worth(held, before, month)


async def _closing_balances(
    tx: Tx, view: View, first: Month, last: Month
) -> dict[Month, dict[str, Fraction]]:
    """What all accounts held at the end of each month, by currency."""
    tallies, mixed = await reports.tallied_latest(tx, view, last)
    balances = {}
    for month in months_between(first, last):
        held = dict(opening_of(tallies, month.next).mrr)
        for timeline in mixed:
            ending = amounts_before(timeline, starts_at(month.next, view.zone))
            for currency, amount in ending.items():
                held[currency] = held.get(currency, NOTHING) + amount
        balances[month] = held
    return balances
