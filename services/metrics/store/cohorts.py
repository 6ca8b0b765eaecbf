"""Cohorts, gathered in one walk over the accounts: only sums by cohort stay in memory."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from services.metrics.model.calendar import Month
from services.metrics.model.cohorts import Cohort, cohort_of, joined_of, latest_answers
from services.metrics.model.knowledge import facts_in_force
from services.metrics.model.money import NOTHING
from services.metrics.model.tally import EMPTY, tallies_of
from services.metrics.model.timeline import Timeline, currencies_of
from services.metrics.store import facts, reports
from services.metrics.store.facts import FactType
from services.metrics.store.reports import Group, Tallies, View
from shared.db import Tx
from shared.events.billing import AcquisitionCost, AnyFact, NpsResponse


@dataclass
class _Members:
    """What is summed up of a cohort."""

    size: int = 0
    base: dict[str, Fraction] = field(default_factory=dict)
    tallies: Tallies = field(default_factory=dict)
    mixed: list[Timeline] = field(default_factory=list)
    costs: list[Decimal] = field(default_factory=list)
    scores: list[int] = field(default_factory=list)


async def get_cohorts(
    tx: Tx, view: View, first: Month, last: Month, group: Group
) -> dict[Month, Cohort]:
    """The cohorts that began from `first` to `last`, with rows up to `last`."""
    known = facts_in_force(
        await facts.list_of_types(
            tx,
            view.workspace,
            (FactType.ACQUISITION_COST, FactType.NPS_RESPONSE),
            known_at=view.known_at,
        )
    )
    costs, scores = _costs_of(known), _scores_of(known)
    cohorts: defaultdict[Month, _Members] = defaultdict(_Members)
    async for account, timeline in reports.walk(tx, view, group):
        joined = joined_of(timeline, view.zone)
        if joined is None or not first <= joined.month <= last:
            continue
        members = cohorts[joined.month]
        members.size += 1
        for currency, amount in joined.base.items():
            members.base[currency] = members.base.get(currency, NOTHING) + amount
        members.costs += costs.get(account, ())
        members.scores += scores.get(account, ())
        _add(members, timeline, view)
    return {month: _cohort(month, cohorts[month], view, last) for month in sorted(cohorts)}


def _add(members: _Members, timeline: Timeline, view: View) -> None:
    currencies = currencies_of(timeline)
    if len(currencies) > 1:
        members.mixed.append(timeline)
        return
    for currency in currencies:
        for month, tally in tallies_of(timeline, currency, view.zone).items():
            key = month, currency
            members.tallies[key] = members.tallies.get(key, EMPTY).plus(tally)


def _cohort(month: Month, members: _Members, view: View, last: Month) -> Cohort:
    return cohort_of(
        month,
        size=members.size,
        base=members.base,
        sums=reports.months_of(members.tallies, members.mixed, view, month, last),
        rates=view.rates,
        costs=members.costs,
        scores=members.scores,
        margin=view.margin,
    )


async def get_costs(tx: Tx, view: View) -> dict[str, Fraction]:
    """What it cost to win each account of which that is known."""
    known = facts_in_force(
        await facts.list_of_types(
            tx, view.workspace, (FactType.ACQUISITION_COST,), known_at=view.known_at
        )
    )
    return {
        account: sum(map(Fraction, costs), NOTHING) for account, costs in _costs_of(known).items()
    }


def _costs_of(known: Iterable[AnyFact]) -> dict[str, list[Decimal]]:
    costs: defaultdict[str, list[Decimal]] = defaultdict(list)
    for fact in known:
        if isinstance(fact, AcquisitionCost):
            costs[fact.account].append(fact.amount)
    return costs


def _scores_of(known: Iterable[AnyFact]) -> dict[str, list[int]]:
    scores: defaultdict[str, list[int]] = defaultdict(list)
    latest = latest_answers(fact for fact in known if isinstance(fact, NpsResponse))
    for (account, _), score in latest.items():
        scores[account].append(score)
    return scores
