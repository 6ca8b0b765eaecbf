"""What one customer is worth over its life: what it brought, and what it may still bring."""

from fractions import Fraction

from services.metrics.model.calendar import Month
from services.metrics.model.lifetime import Lifetime, lifetime_of
from shared.events.billing import AnyFact
from tests.unit.metrics.builders import books_from, state

HALF = Fraction(1, 2)


def value(through: str, *facts: AnyFact, churn: Fraction | None) -> Lifetime | None:
    """Of acme, at a margin of one half."""
    made = books_from(*facts)
    return lifetime_of(made.timelines["acme"], HALF, churn, made.rates, "UTC", Month.of(through))


def test_what_was_brought_is_the_margin_of_each_closing_balance():
    found = value("2026-03", state("2026-01-10", "100"), state("2026-02-10", "300"), churn=HALF)

    assert found is not None
    assert found == Lifetime(months=3, realised=Fraction(350), expected=Fraction(300))
    assert found.clv == 350 + 300


def test_who_has_left_brings_nothing_more_whatever_the_churn():
    gone = state("2026-02-10", status="canceled")

    found = value("2026-03", state("2026-01-10", "100"), gone, churn=None)

    assert found == Lifetime(months=3, realised=100 * HALF, expected=Fraction(0))


def test_where_nobody_left_nothing_says_how_long_customers_stay():
    for churn in (None, Fraction(0)):
        found = value("2026-01", state("2026-01-10", "100"), churn=churn)
        assert found is not None
        assert (found.expected, found.clv) == (None, None)


def test_who_has_not_paid_by_then_has_no_value():
    assert value("2025-12", state("2026-01-10", "100"), churn=HALF) is None
