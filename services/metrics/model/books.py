"""The whole books of a workspace from nothing but its facts: the exact way, and the slow one.

Every report here reads all accounts anew. Kept rollups give the same figures faster, and a
rebuild shows that they do.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from services.metrics.model.calendar import Month, starts_at
from services.metrics.model.cohorts import Cohort, Joined, cohort_of, joined_of, latest_answers
from services.metrics.model.committed import Point, point_at
from services.metrics.model.identity import in_force
from services.metrics.model.money import NOTHING, Rates, rates_of
from services.metrics.model.months import (
    MonthReport,
    MonthSums,
    month_report,
    month_sums,
    opening_of,
    summed,
    valued_sums,
)
from services.metrics.model.objects import objects_of
from services.metrics.model.spend import spend_by_month
from services.metrics.model.state import PricedState, priced
from services.metrics.model.tally import tallied, valued_months
from services.metrics.model.timeline import Timeline, amounts_before, timeline_of
from services.metrics.model.windows import Ends, Window, window_of
from shared.events.billing import (
    AcquisitionCost,
    AnyFact,
    FxRate,
    NpsResponse,
    ProviderObject,
    SalesAndMarketing,
    SubscriptionState,
)


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the facts of a workspace add up to. `unresolved` are objects that nobody has told."""

    timelines: Mapping[str, Timeline]
    rates: Rates
    spend: Mapping[Month, Fraction]
    costs: Mapping[str, list[Decimal]]
    scores: Mapping[str, list[int]]
    unresolved: frozenset[str]


def books_of(facts: Iterable[AnyFact], reporting: str) -> Books:
    """The books by these facts, one per identity, voids among them; `reporting` is the currency.

    Refunds, credit notes, one-time items and use are facts like others and move nothing (P12).
    For the view as of T hand in the facts recorded up to T (P21).
    """
    known = in_force(facts)
    states = priced_states(known)
    costs: dict[str, list[Decimal]] = defaultdict(list)
    for fact in known:
        if isinstance(fact, AcquisitionCost):
            costs[fact.account].append(fact.amount)
    scores: dict[str, list[int]] = defaultdict(list)
    answers = latest_answers(fact for fact in known if isinstance(fact, NpsResponse))
    for (account, _), score in answers.items():
        scores[account].append(score)
    return Books(
        timelines={account: timeline_of(each) for account, each in sorted(states.items())},
        rates=rates_of((fact for fact in known if isinstance(fact, FxRate)), reporting),
        spend=spend_by_month(fact for fact in known if isinstance(fact, SalesAndMarketing)),
        costs=costs,
        scores=scores,
        unresolved=frozenset(
            name for each in states.values() for state in each for name in state.unresolved
        ),
    )


def priced_states(facts: Iterable[AnyFact]) -> dict[str, list[PricedState]]:
    """The states of each account, priced by the objects among the facts; all of them in force."""
    known = list(facts)
    objects = objects_of(fact for fact in known if isinstance(fact, ProviderObject))
    states: dict[str, list[PricedState]] = defaultdict(list)
    for fact in known:
        if isinstance(fact, SubscriptionState):
            states[fact.account].append(priced(fact, objects))
    return states


def months_of(
    books: Books, first: Month, last: Month, zone: str, margin: Fraction | None
) -> dict[Month, MonthReport]:
    """The reports of the months from `first` to `last`."""
    sums = sums_of(books.timelines.values(), books.rates, first, last, zone)
    return {
        month: month_report(of_month, margin=margin, spend=books.spend.get(month))
        for month, of_month in sums.items()
    }


def sums_of(
    timelines: Iterable[Timeline], rates: Rates, first: Month, last: Month, zone: str
) -> dict[Month, MonthSums]:
    """What these accounts add up to in each month from `first` to `last`."""
    tallies, mixed = tallied(timelines, zone)
    valued = (valued_months(timeline, rates, zone, last) for timeline in mixed)
    return summed(
        [
            month_sums(opening_of(tallies, first), tallies, rates, first, last),
            *(valued_sums(months, first, last) for months in valued),
        ]
    )


def window_between(books: Books, first: Month, last: Month, zone: str) -> Window:
    """Retention from the start of `first` to the end of `last`."""
    start, end = starts_at(first, zone), starts_at(last.next, zone)
    ends = (
        Ends(amounts_before(timeline, start), amounts_before(timeline, end))
        for timeline in books.timelines.values()
    )
    return window_of(ends, books.rates, last)


def point(books: Books, instant: datetime, zone: str) -> Point:
    """MRR and CMRR at `instant`; `books` are those of the facts recorded up to it."""
    return point_at(books.timelines.values(), instant, books.rates, zone)


def cohorts_of(
    books: Books, first: Month, last: Month, zone: str, margin: Fraction | None
) -> dict[Month, Cohort]:
    """The cohorts that began from `first` to `last`, with rows up to `last`."""
    members: dict[Month, list[tuple[str, Joined]]] = defaultdict(list)
    for account, timeline in books.timelines.items():
        joined = joined_of(timeline, zone)
        if joined is not None and first <= joined.month <= last:
            members[joined.month].append((account, joined))
    return {
        month: _cohort(books, month, of_month, last, zone, margin)
        for month, of_month in sorted(members.items())
    }


def _cohort(
    books: Books,
    month: Month,
    members: list[tuple[str, Joined]],
    last: Month,
    zone: str,
    margin: Fraction | None,
) -> Cohort:
    base: dict[str, Fraction] = {}
    for _, joined in members:
        for currency, amount in joined.base.items():
            base[currency] = base.get(currency, NOTHING) + amount
    accounts = [account for account, _ in members]
    timelines = [books.timelines[account] for account in accounts]
    return cohort_of(
        month,
        size=len(members),
        base=base,
        sums=sums_of(timelines, books.rates, month, last, zone),
        rates=books.rates,
        costs=[cost for account in accounts for cost in books.costs.get(account, ())],
        scores=[score for account in accounts for score in books.scores.get(account, ())],
        margin=margin,
    )
