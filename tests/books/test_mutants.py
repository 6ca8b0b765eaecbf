"""A rule that is broken on purpose is noticed: random histories tell each mutant from the policy.

A mutant replaces one function of the model by what others do, or by a slip. The calculator must
disagree with it within a few hundred histories, else a rule would be there that nothing holds.
"""

import builtins
from collections.abc import Callable, Iterable
from datetime import datetime
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from services.metrics.model import (
    books,
    cohorts,
    committed,
    identity,
    money,
    months,
    movements,
    objects,
    pricing,
    state,
    tally,
    timeline,
    windows,
)
from services.metrics.model.calendar import Month, ends_at, month_at
from services.metrics.model.identity import Judged, Record
from services.metrics.model.money import NOTHING, ONE, Amounts, Rates
from services.metrics.model.movements import Kind, kind_of
from services.metrics.model.state import PricedState
from services.metrics.model.timeline import Piece, Timeline
from shared.events.billing import Discount, Duration, Interval, Item, Pause, Status
from tests.books import ledger
from tests.books.test_calculator_agrees import assert_same_books

SEEDS = range(600)
Patch = Callable[[pytest.MonkeyPatch], None]


def compare(seeds: Iterable[int]) -> None:
    for seed in seeds:
        assert_same_books(seed)


def replacing(name: str, mutant: object, *modules: object) -> Patch:
    """Puts `mutant` in the place of `name` wherever it is used."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for module in modules:
            # A built-in of that name is hidden by the module's own.
            monkeypatch.setattr(module, name, mutant, raising=not hasattr(builtins, name))

    return patch


def weeks_are_quarters_of_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pricing.PERIODS_A_MONTH, Interval.WEEK, Fraction(4))


def once_counts(discount: Discount, at: datetime) -> bool:
    started = discount.start is None or discount.start <= at
    return discount.kind is not None and started and (discount.end is None or at < discount.end)


def the_end_is_inside(discount: Discount, at: datetime) -> bool:
    if discount.duration is Duration.ONCE or discount.kind is None:
        return False
    started = discount.start is None or discount.start <= at
    return started and (discount.end is None or at <= discount.end)


def may_go_below_nothing(discount: Discount, item: Item, amount: Fraction) -> Fraction:
    assert discount.value is not None
    if discount.kind == "percent":
        return amount * (100 - Fraction(discount.value)) / 100
    return amount - Fraction(discount.value) * pricing.periods_a_month(item)


def subscription_discounts_are_forgotten(*told: Any) -> list[Fraction]:
    _, _, amounts = told
    return list(amounts)


def never_resumes(pause: Pause | None, _: datetime) -> bool:
    return pause is not None and pause.behavior in state.UNCOLLECTED


def a_return_is_new(**told: Any) -> Kind:
    return kind_of(**{**told, "first": True})


def churn_is_a_contraction(**told: Any) -> Kind:
    return kind_of(**{**told, "pays_after": True})


def only_the_months_own_rate(self: Rates, currency: str, month: Month) -> Fraction | None:
    if currency == self.reporting:
        return ONE
    rates = [rate.factor for rate in self.known.get(currency, ()) if rate.month == month]
    return rates[0] if rates else None


def every_currency_has_cents(rate: Any, *_: str) -> Fraction:
    return Fraction(rate)


def months_are_utc(instant: datetime, _: str) -> Month:
    return month_at(instant, "UTC")


def ratio_over_nothing_is_nothing(part: Fraction | int, whole: Fraction | int) -> Fraction:
    return NOTHING if whole == 0 else Fraction(part) / Fraction(whole)


def the_last_recorded_stands(records: Iterable[Record]) -> Judged:
    judged = identity.judged(records)
    last = {record.name: record for record in (*judged.standing, *judged.conflicts)}
    return judged._replace(standing=tuple(last.values()))


def arrival_decides(self: PricedState) -> tuple[datetime, int, str, str]:
    return (self.effective_at, 0, self.name.id, self.name.source)


def subscriptions_stand_alone(pieces: Iterable[Piece]) -> Amounts:
    return {piece.currency: piece.mrr for piece in pieces if piece.mrr}


def leavers_of_the_first_month_are_left_out(found: Timeline, zone: str) -> cohorts.Joined | None:
    joined = cohorts.joined_of(found, zone)
    if joined is None:
        return None
    end = ends_at(joined.month, zone)
    return joined if timeline.amounts_before(found, end) else None


def schedules_are_not_run(found: Timeline) -> Amounts:
    return found[0].mrr if found else {}


MUTANTS = {
    "P02: a month has four weeks": weeks_are_quarters_of_a_month,
    "P03: a trial counts": replacing("free_month", lambda *_: True, timeline),
    "P04: a free month is churn": replacing("free_month", lambda *_: False, timeline),
    "P05: once lowers MRR": replacing("in_force", once_counts, pricing),
    "P05: a discount holds at its end": replacing("in_force", the_end_is_inside, pricing),
    "P05: a discount goes below 0": replacing("discounted", may_go_below_nothing, pricing),
    "P05: a subscription's discount is forgotten": replacing(
        "shared_discount", subscription_discounts_are_forgotten, pricing
    ),
    "P06: metered use counts": replacing("UsageType", SimpleNamespace(METERED=None), pricing),
    "P07: graduated is volume": replacing("graduated_amount", pricing.volume_amount, pricing),
    "P07: volume is graduated": replacing("volume_amount", pricing.graduated_amount, pricing),
    "P08: tax stays in": replacing("net_of_tax", lambda _, amount: amount, pricing),
    "P09: past due is out": replacing("COUNTING", {Status.ACTIVE}, state, timeline),
    "P09: unpaid is in": replacing(
        "COUNTING", {Status.ACTIVE, Status.PAST_DUE, Status.UNPAID}, state, timeline
    ),
    "P10: a pause changes nothing": replacing("paused", lambda *_: False, state),
    "P10: a pause never resumes": replacing("paused", never_resumes, state),
    "P13: churn is a contraction": replacing("kind_of", churn_is_a_contraction, movements, tally),
    "P14: a return is new": replacing("kind_of", a_return_is_new, movements, tally),
    "P15: subscriptions are not summed": replacing("_sums", subscriptions_stand_alone, timeline),
    "P16: balances are not revalued": replacing("fx_of", lambda *_: NOTHING, movements),
    "P16: rates are not carried on": replacing("factor", only_the_months_own_rate, Rates),
    "P17: every currency has cents": replacing("minor_factor", every_currency_has_cents, money),
    "P18: the net view is empty": replacing("net_view", lambda *_, **__: ({}, {}), tally),
    "P19: growth makes up for losses in GRR": replacing(
        "gross_retention", months.net_retention, months
    ),
    "P19: a window's GRR is its NDR": replacing("min", lambda _, end: end, windows),
    "P20: months are UTC": replacing("month_at", months_are_utc, movements, tally, cohorts),
    "P22: the last recorded stands": replacing("judged", the_last_recorded_stands, ledger),
    "P22: a void removes nothing": replacing("voided", lambda _: frozenset(), identity),
    "P22: seq is not looked at": replacing("order", property(arrival_decides), PricedState),
    "P23: schedules are not run": replacing("committed", schedules_are_not_run, committed),
    "P24: who left at once is no member": replacing(
        "joined_of", leavers_of_the_first_month_are_left_out, books
    ),
    "P24: NPS counts eights": replacing("PROMOTER_FROM", 8, cohorts),
    "P25: contraction is no loss": replacing("LOSSES", (Kind.CHURN,), months),
    "P26: scheduled effects wait": replacing(
        "_schedule", lambda told, *_: [(told.effective_at, "")], state
    ),
    "P28: a ratio over nothing is 0": replacing(
        "share", ratio_over_nothing_is_nothing, months, windows, cohorts
    ),
    "objects: today's version is painted over history": replacing(
        "bisect_right", lambda versions, _: len(versions), objects
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_broken_rule_is_noticed(mutant: Patch, monkeypatch: pytest.MonkeyPatch):
    mutant(monkeypatch)

    with pytest.raises(AssertionError):
        compare(SEEDS)


def test_an_unbroken_model_is_not_taken_for_a_mutant():
    compare(range(50))
