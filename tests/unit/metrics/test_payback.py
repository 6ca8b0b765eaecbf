"""Payback: the month in which an account has repaid its cost, and who left before (M1)."""

from fractions import Fraction
from typing import Any

import pytest

from services.metrics.model.calendar import Month
from services.metrics.model.payback import payback_of
from shared.events.billing import AnyFact
from tests.unit.metrics.builders import books_from, state


def payback(*facts: AnyFact, cost: str = "120", through: str = "2026-12") -> Any:
    made = books_from(*facts)
    return payback_of(
        made.timelines["acme"],
        Fraction(cost),
        Fraction(4, 10),
        made.rates,
        "UTC",
        Month.of(through),
    )


@pytest.mark.parametrize(
    ("cost", "month", "months"),
    [("0", None, None), ("40", "2026-01", 1), ("41", "2026-02", 2), ("120", "2026-03", 3)],
)
def test_m1_a_month_repays_its_closing_mrr_times_margin(
    cost: str, month: str | None, months: int | None
):
    paid = payback(state("2026-01-10"), cost=cost)

    assert paid.paid_back_in == (None if month is None else Month.of(month))
    assert paid.months == months
    assert (paid.recovered, paid.churned_before) == (Fraction(cost), False)


def test_m1_who_leaves_before_is_flagged_with_what_is_lost():
    facts = [state("2026-01-10"), state("2026-03-10", status="canceled")]

    paid = payback(*facts)

    assert (paid.churned_before, paid.recovered, paid.lost) == (True, Fraction(80), Fraction(40))


def test_m1_who_leaves_after_is_not():
    facts = [state("2026-01-10"), state("2026-04-10", status="canceled")]

    assert (payback(*facts).churned_before, payback(*facts).lost) == (False, 0)


def test_m1_who_returned_goes_on_repaying():
    facts = [
        state("2026-01-10"),
        state("2026-02-10", status="canceled"),
        state("2026-05-10"),
    ]

    assert payback(*facts, through="2026-04").churned_before
    assert payback(*facts).paid_back_in == Month.of("2026-06")


def test_m1_an_account_that_never_paid_has_nothing_to_tell():
    assert payback(state("2026-01-10", status="trialing")) is None
    assert payback(state("2026-03-10"), through="2026-02") is None
