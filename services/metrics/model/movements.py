"""Movements: every jump of an account at its instant, and what it is called (P13-P16, P18)."""

from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from services.metrics.model.calendar import Month, ends_at, month_at, starts_at
from services.metrics.model.identity import FactName
from services.metrics.model.money import Amounts, Rates, worth
from services.metrics.model.timeline import Timeline, amounts_before, currencies_of


class Kind(StrEnum):
    """What a movement is; `fx` alone is no act of the customer."""

    NEW = "new"
    REACTIVATION = "reactivation"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"
    FX = "fx"


KINDS = (Kind.NEW, Kind.REACTIVATION, Kind.EXPANSION, Kind.CONTRACTION, Kind.CHURN)


class Jump(NamedTuple):
    """A change of what an account is worth, in its own currencies. `first`: its first ever."""

    at: datetime
    before: Amounts
    after: Amounts
    first: bool
    facts: tuple[FactName, ...]
    reason: str


class Movement(NamedTuple):
    """A jump in the reporting currency: `amount` is signed, `mrr` what the account is worth now."""

    at: datetime
    kind: Kind
    amount: Fraction
    mrr: Fraction
    facts: tuple[FactName, ...]
    reason: str


def jumps_of(timeline: Timeline) -> tuple[Jump, ...]:
    """The account's jumps in order of time; steps that only change what is past due are none."""
    return jumps_from(timeline, 0)


def jumps_from(timeline: Timeline, start: int, *, paid: bool = False) -> tuple[Jump, ...]:
    """The account's jumps of its steps from the one with index `start` on.

    `paid`: it had paid before the first of the steps that are given.
    """
    jumps: list[Jump] = []
    before: Amounts = timeline[start - 1].mrr if start else {}
    paid = paid or any(step.mrr for step in timeline[:start])
    for step in timeline[start:]:
        if step.mrr != before:
            jumps.append(Jump(step.at, before, step.mrr, not paid, step.facts, step.reason))
            before, paid = step.mrr, True
    return tuple(jumps)


def kind_of(*, paid_before: bool, pays_after: bool, first: bool, change: Fraction) -> Kind:
    """What a change is called (P15): from nothing it is new the first time ever, then always a
    reactivation (P14); to nothing it is churn, whatever the cause (P13).
    """
    if not paid_before:
        return Kind.NEW if first else Kind.REACTIVATION
    if not pays_after:
        return Kind.CHURN
    return Kind.EXPANSION if change > 0 else Kind.CONTRACTION


def movement_of(jump: Jump, rates: Rates, month: Month) -> Movement | None:
    """The jump at the rates of `month`, in which it lies (P16); a switch of currency is one
    movement (D35). None where the two sides are worth the same.
    """
    after = worth(jump.after, rates, month)
    change = after - worth(jump.before, rates, month)
    if change == 0:
        return None
    kind = kind_of(
        paid_before=bool(jump.before),
        pays_after=bool(jump.after),
        first=jump.first,
        change=change,
    )
    return Movement(jump.at, kind, change, after, jump.facts, jump.reason)


def movements_of(
    timeline: Timeline, rates: Rates, zone: str, through: Month
) -> tuple[Movement, ...]:
    """All movements of the account up to the end of `through`, in order of time.

    Their sum is what the account is worth then. A revaluation stands before what happens at the
    same instant, the start of the month.
    """
    end = ends_at(through, zone)
    jumps = (jump for jump in jumps_of(timeline) if jump.at < end)
    moved = (movement_of(jump, rates, month_at(jump.at, zone)) for jump in jumps)
    revalued = revaluations_of(timeline, rates, zone, through)
    movements = [*revalued, *(movement for movement in moved if movement is not None)]
    return tuple(sorted(movements, key=attrgetter("at")))


def revaluations_of(
    timeline: Timeline, rates: Rates, zone: str, through: Month
) -> tuple[Movement, ...]:
    """The account's `fx` movements: at the start of each month up to `through` whose rates are new
    for a currency that it holds, the opening balance at the new rate less that at the old (P16).
    """
    changes = {
        month: rates.facts_of(currencies_of(timeline), month)
        for currency in currencies_of(timeline)
        for month in rates.months_of(currency)
        if month <= through
    }
    movements = []
    for month, facts in sorted(changes.items()):
        at = starts_at(month, zone)
        opening = amounts_before(timeline, at)
        amount = fx_of(opening, rates, month)
        if amount != 0:
            worth_now = worth(opening, rates, month)
            movements.append(Movement(at, Kind.FX, amount, worth_now, facts, "rate"))
    return tuple(movements)


def fx_of(opening: Amounts, rates: Rates, month: Month) -> Fraction:
    """What the opening balance of `month` gains by its rates over those of the month before."""
    return worth(opening, rates, month) - worth(opening, rates, month.previous)
