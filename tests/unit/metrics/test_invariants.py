"""Invariants: a book that does not close is told, with both figures and the place."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from services.metrics.model.books import months_of
from services.metrics.model.calendar import Month
from services.metrics.model.closing import FIRST, month_digest
from services.metrics.model.invariants import broken_account, broken_months, broken_retention
from services.metrics.model.months import MonthReport
from services.metrics.model.movements import Kind
from services.metrics.model.timeline import Step
from tests.unit.metrics.builders import books_from, instant, rate, state, window

JANUARY, FEBRUARY = Month(2026, 1), Month(2026, 2)
FACTS = (
    rate("2026-01", "1300"),
    rate("2026-02", "1310"),
    state("2026-01-05", "100"),
    state("2026-01-05", "10", account="abroad", currency="USD"),
    state("2026-02-05", "70"),
)


def reports() -> dict[Month, MonthReport]:
    return months_of(books_from(*FACTS), JANUARY, FEBRUARY, "UTC", None)


def test_books_that_close_break_nothing():
    made = books_from(*FACTS)

    assert broken_months(reports()) == []
    for account, timeline in made.timelines.items():
        assert broken_account(account, timeline, made.rates, "UTC", FEBRUARY) == []


@pytest.mark.parametrize(
    ("changed", "invariant"),
    [
        ({"mrr_end": Fraction(1)}, "start + fx + net = end"),
        ({"mrr_start": Fraction(1)}, "a month's end is the next one's start"),
        ({"fx": Fraction(9)}, "start + fx + gross = end"),
        ({"gross": {Kind.CHURN: Fraction(0)}}, "start + fx + gross = end"),
        ({"net": {Kind.CHURN: Fraction(0)}}, "start + fx + net = end"),
        ({"customers_churned": 1}, "customers at the start + gained - lost = at the end"),
        (
            {"customers_start": 7},
            "the customers at a month's end are those at the next one's start",
        ),
    ],
)
def test_a_figure_that_does_not_add_up_is_told(changed: dict[str, Any], invariant: str):
    months = reports()
    months[FEBRUARY] = replace(months[FEBRUARY], **changed)

    broken = broken_months(months)

    assert invariant in {breach.invariant for breach in broken}
    assert {breach.where for breach in broken} == {"2026-02"}
    assert all(breach.found != breach.expected for breach in broken)


def test_months_with_a_gap_between_them_are_not_chained():
    months = reports()
    months[Month(2026, 9)] = replace(months[FEBRUARY], mrr_start=Fraction(0), fx=Fraction(0))

    assert "a month's end is the next one's start" not in {
        breach.invariant for breach in broken_months(months)
    }


def test_an_account_whose_movements_are_not_its_mrr_is_told():
    made = books_from(*FACTS)
    # A step that was kept in the wrong place: what it is worth then is told, its jump is not.
    late = Step(instant("2026-03-01"), {"KRW": Fraction(5)}, {}, (), "")
    broken_timeline = (late, *made.timelines["acme"])

    assert broken_account("acme", broken_timeline, made.rates, "UTC", FEBRUARY)


def test_retention_by_ends_that_is_not_that_by_movements_is_told():
    ends = window("2026-02", "2026-02", *FACTS)
    february = reports()[FEBRUARY]

    assert broken_retention(FEBRUARY, february, ends) == []
    wrong = replace(february, ndr=Fraction(1))
    assert [breach.invariant for breach in broken_retention(FEBRUARY, wrong, ends)] == [
        "NDR by ends is NDR by net movements"
    ]


def digest(report: MonthReport, **changed: Any) -> str:
    said: Any = {"currency": "KRW", "policy_version": 1, "previous": FIRST} | changed
    return month_digest(JANUARY, report, **said)


def test_a_digest_binds_the_figures_the_policy_and_all_months_before():
    january = reports()[JANUARY]

    digests = {
        digest(january),
        digest(replace(january, mrr_end=january.mrr_end + Fraction(1, 10**12))),
        digest(january, currency="USD"),
        digest(january, policy_version=2),
        digest(january, previous=digest(january)),
        month_digest(FEBRUARY, january, currency="KRW", policy_version=1, previous=FIRST),
    }

    assert len(digests) == 6
    assert digest(january) == digest(reports()[JANUARY])
