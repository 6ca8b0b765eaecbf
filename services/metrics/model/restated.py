"""Restatements: how months that were already told change by what is learned later (P21)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from services.metrics.model.calendar import Month, month_at, months_between, starts_at
from services.metrics.model.money import NOTHING, Amounts
from services.metrics.model.movements import jumps_of
from services.metrics.model.state import PricedState
from services.metrics.model.timeline import Timeline, amounts_before
from shared.events.billing import AnyFact, FxRate, SubscriptionState, Void

Change = tuple[datetime, Amounts, Amounts]


class Cause(StrEnum):
    """Why an earlier figure changed."""

    LATE = "late"
    VOID = "void"
    CORRECTION = "correction"
    RATE = "rate"
    MAPPING = "mapping"


def restated(before: Timeline, after: Timeline, zone: str, through: Month) -> dict[Month, Amounts]:
    """The months up to `through` that tell something else of the account than they did, each with
    the change of its closing balance, in native currency.

    A month whose balance stands while its movements changed is among them, with no amount.
    """
    was, now = _by_month(before, zone), _by_month(after, zone)
    differing = [month for month in was.keys() | now.keys() if was.get(month) != now.get(month)]
    if not differing:
        return {}
    changes = {}
    for month in months_between(min(differing), through):
        ends = starts_at(month.next, zone)
        change = less(amounts_before(after, ends), amounts_before(before, ends))
        if change or month in differing:
            changes[month] = change
    return changes


def cause_of(facts: Iterable[AnyFact], known: Iterable[PricedState]) -> Cause:
    """Why these new facts restate an account of which `known` was known.

    A correction says something else of an instant of which a state was known; a fact that merely
    came after its time is late.
    """
    taken = {(state.subscription, state.effective_at) for state in known}
    causes = {_cause(fact, taken) for fact in facts}
    order = (Cause.RATE, Cause.VOID, Cause.CORRECTION, Cause.LATE)
    return next((cause for cause in order if cause in causes), Cause.LATE)


def less(amounts: Amounts, others: Amounts) -> Amounts:
    """`amounts` less `others`, by currency; what is equal is absent."""
    changes: dict[str, Fraction] = {}
    for currency in sorted({*amounts, *others}):
        change = amounts.get(currency, NOTHING) - others.get(currency, NOTHING)
        if change:
            changes[currency] = change
    return changes


def _cause(fact: AnyFact, taken: set[tuple[str, datetime]]) -> Cause:
    match fact:
        case FxRate():
            return Cause.RATE
        case Void():
            return Cause.VOID
        case SubscriptionState() if (fact.subscription, fact.effective_at) in taken:
            return Cause.CORRECTION
    return Cause.LATE


def _by_month(timeline: Timeline, zone: str) -> Mapping[Month, list[Change]]:
    changes: dict[Month, list[Change]] = {}
    for jump in jumps_of(timeline):
        change = (jump.at, jump.before, jump.after)
        changes.setdefault(month_at(jump.at, zone), []).append(change)
    return changes
