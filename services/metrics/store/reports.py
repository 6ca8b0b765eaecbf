"""What reports are made of: the settings and rates of a workspace, its months, its timelines.

Read from rollups where the latest view of a kept part is asked; else account by account, by what
was believed at the time.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import Month
from services.metrics.model.knowledge import RawRecord, facts_in_force, standing_of
from services.metrics.model.money import Rates, rates_of
from services.metrics.model.months import (
    MonthReport,
    MonthSums,
    missing_rates,
    month_report,
    month_sums,
    opening_of,
    summed,
    valued_sums,
)
from services.metrics.model.spend import spend_by_month
from services.metrics.model.tally import EMPTY, Tally, tallies_of, valued_months
from services.metrics.model.timeline import Timeline, currencies_of
from services.metrics.store import facts, rollups, steps
from services.metrics.store.facts import FactType
from services.metrics.store.ledger import DEFAULT_ZONE
from shared.auth import get_workspace
from shared.db import Tx, rows
from shared.events.billing import FxRate, SalesAndMarketing

DEFAULT_CURRENCY = "USD"  # until the settings of a workspace are known here

Tallies = dict[tuple[Month, str], Tally]


@dataclass(frozen=True, kw_only=True)
class View:
    """A workspace's money as it is looked at: now, or with what was known at an instant."""

    workspace: str
    zone: str
    currency: str
    margin: Fraction | None
    rates: Rates
    spend: Mapping[Month, Fraction]
    known_at: datetime | None


class Group(NamedTuple):
    """Which accounts a report is of: all, or those of a segment or with a tag."""

    segment: str | None = None
    tag: str | None = None


EVERYBODY = Group()


async def get_view(tx: Tx, workspace: str, *, known_at: datetime | None = None) -> View:
    """The settings of the workspace, with the rates and the spend that were known."""
    settings = await get_workspace(tx, workspace)
    currency = DEFAULT_CURRENCY if settings is None else settings.reporting_currency
    margin = None if settings is None else settings.gross_margin
    known = facts_in_force(
        await facts.list_of_types(
            tx, workspace, (FactType.FX_RATE, FactType.SALES_AND_MARKETING), known_at=known_at
        )
    )
    return View(
        workspace=workspace,
        zone=DEFAULT_ZONE if settings is None else settings.time_zone,
        currency=currency,
        margin=None if margin is None else Fraction(margin),
        rates=rates_of((fact for fact in known if isinstance(fact, FxRate)), currency),
        spend=spend_by_month(fact for fact in known if isinstance(fact, SalesAndMarketing)),
        known_at=known_at,
    )


# --- months --------------------------------------------------------------------------------------


class Months(NamedTuple):
    """The reports of a span of months, and the currencies left out for want of a rate."""

    reports: Mapping[Month, MonthReport]
    missing_rates: frozenset[str]


async def get_months(
    tx: Tx, view: View, first: Month, last: Month, group: Group = EVERYBODY
) -> Months:
    """The report of each month from `first` to `last`, both included."""
    tallies, mixed = await _tallied(tx, view, last, group)
    sums = months_of(tallies, mixed, view, first, last)
    return Months(
        {
            month: month_report(sums[month], margin=view.margin, spend=view.spend.get(month))
            for month in sorted(sums)
        },
        missing_rates(tallies, view.rates),
    )


def months_of(
    tallies: Tallies, mixed: Collection[Timeline], view: View, first: Month, last: Month
) -> dict[Month, MonthSums]:
    """The sums of each month: of accounts of one currency by tally, the others one by one."""
    within = {key: tally for key, tally in tallies.items() if first <= key[0] <= last}
    one_by_one = [
        valued_sums(valued_months(timeline, view.rates, view.zone, last), first, last)
        for timeline in mixed
    ]
    opening = opening_of(tallies, first)
    return summed([month_sums(opening, within, view.rates, first, last), *one_by_one])


async def _tallied(tx: Tx, view: View, last: Month, group: Group) -> tuple[Tallies, list[Timeline]]:
    """The tallies up to `last` of a group, and the timelines of those with several currencies."""
    if view.known_at is None and group.tag is None:
        return await tallied_latest(tx, view, last, group.segment)
    return await tallied_one_by_one(tx, view, group)


async def tallied_latest(
    tx: Tx, view: View, last: Month, segment: str | None = None
) -> tuple[Tallies, list[Timeline]]:
    """The same by all that is known now, from the rollups."""
    part = rollups.ALL if segment is None else rollups.segment_part(segment)
    tallies = await rollups.list_tallies(tx, view.workspace, part, through=last)
    return tallies, await steps.list_mixed(tx, view.workspace, segment=segment)


async def tallied_one_by_one(
    tx: Tx, view: View, group: Group = EVERYBODY
) -> tuple[Tallies, list[Timeline]]:
    """The same without the rollups, from the steps of every account."""
    tallies: Tallies = {}
    mixed: list[Timeline] = []
    async for _, timeline in walk(tx, view, group):
        currencies = currencies_of(timeline)
        if len(currencies) > 1:
            mixed.append(timeline)
        for currency in currencies if len(currencies) == 1 else ():
            for month, tally in tallies_of(timeline, currency, view.zone).items():
                key = month, currency
                tallies[key] = tallies.get(key, EMPTY).plus(tally)
    return tallies, mixed


async def walk(
    tx: Tx, view: View, group: Group = EVERYBODY, *, after: str = ""
) -> AsyncIterator[steps.AccountSteps]:
    """The accounts of a group behind `after`, by id, with their steps as they were known."""
    members = await _members(tx, view, group)
    async for account in steps.walk_timelines(
        tx, view.workspace, known_at=view.known_at, after=after
    ):
        if members is None or account.account in members:
            yield account


async def _members(tx: Tx, view: View, group: Group) -> set[str] | None:
    """The accounts of the group, as the latest told by then; None: all."""
    if group == EVERYBODY:
        return None
    found = await rows(
        tx,
        "SELECT account FROM ("
        " SELECT DISTINCT account,"
        "  first_value(told -> 'segment') OVER (PARTITION BY account ORDER BY"
        "    told ? 'segment' DESC, at DESC, event DESC) AS segment,"
        "  first_value(told -> 'tags') OVER (PARTITION BY account ORDER BY"
        "    told ? 'tags' DESC, at DESC, event DESC) AS tags"
        " FROM telling WHERE workspace = :workspace"
        "  AND (CAST(:known_at AS timestamptz) IS NULL OR recorded_at <= :known_at)) AS latest"
        " WHERE (CAST(:segment AS text) IS NULL OR segment = to_jsonb(CAST(:segment AS text)))"
        " AND (CAST(:tag AS text) IS NULL OR tags ? CAST(:tag AS text))",
        {"workspace": view.workspace, "known_at": view.known_at, **group._asdict()},
    )
    return {row.account for row in found}


# --- repeats and conflicts -----------------------------------------------------------------------


class Kept(NamedTuple):
    """Records that were kept and not booked: repeats by number, conflicts one by one."""

    repeats: int
    conflicts: list[RawRecord]


async def get_kept(tx: Tx, workspace: str, *, known_at: datetime | None = None) -> Kept:
    """What came again, and what came otherwise, of what was recorded up to `known_at`."""
    found = await rows(
        tx,
        "SELECT repeats, EXISTS (SELECT FROM contested c WHERE c.workspace = l.workspace)"
        " AS is_contested FROM ledger l WHERE workspace = :workspace",
        {"workspace": workspace},
    )
    if not found:
        return Kept(0, [])
    beyond = found[0].repeats
    if known_at is not None:
        beyond = await facts.count_beyond_first(tx, workspace, known_at=known_at)
    if not found[0].is_contested:
        return Kept(beyond, [])
    contested = await facts.list_contested(tx, workspace, known_at=known_at)
    conflicts = list(standing_of(contested).conflicts)
    return Kept(beyond - len(conflicts), conflicts)
