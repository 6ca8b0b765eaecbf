"""Restatements: which months a later fact changes, by how much, and why."""

from typing import Any

from services.metrics.model.books import priced_states
from services.metrics.model.calendar import Month
from services.metrics.model.restated import Cause, cause_of, restated
from shared.events.billing import AnyFact
from tests.unit.metrics.builders import books_from, rate, state, void


def months_restated(old: list[AnyFact], new: list[AnyFact], through: str = "2026-06") -> Any:
    before, after = (books_from(*facts).timelines.get("acme", ()) for facts in (old, new))
    changes = restated(before, after, "UTC", Month.of(through))
    return {str(month): dict(change) for month, change in changes.items()}


def test_a_late_fact_restates_every_month_from_its_own_on():
    known = [state("2026-01-01"), state("2026-04-10", "200")]
    late = state("2026-02-10", "150")

    changes = months_restated(known, [*known, late])

    assert changes == {"2026-02": {"KRW": 50}, "2026-03": {"KRW": 50}, "2026-04": {}}


def test_a_fact_that_is_in_time_restates_nothing_before_its_month():
    known = [state("2026-01-01")]

    assert months_restated(known, [*known, state("2026-05-01", "5")], through="2026-04") == {}


def test_a_fact_that_says_what_held_anyway_restates_nothing():
    known = [state("2026-01-01")]

    assert months_restated(known, [*known, state("2026-02-10")]) == {}


def test_a_month_whose_balance_stands_is_restated_where_its_movements_change():
    known = [state("2026-01-01")]
    visit = [state("2026-02-10", "900"), state("2026-02-20", "100")]

    assert months_restated(known, [*known, *visit]) == {"2026-02": {}}


def test_a_void_takes_back_what_its_target_said():
    wrong = state("2026-02-10", "900")
    known = [state("2026-01-01"), wrong]

    changes = months_restated(known, [*known, void(wrong)], through="2026-03")

    assert changes == {"2026-02": {"KRW": -800}, "2026-03": {"KRW": -800}}


def test_the_cause_is_told_by_the_fact():
    known = priced_states([state("2026-01-01")])["acme"]
    late, correction = state("2026-01-02"), state("2026-01-01", "90", seq=1)

    assert cause_of([late], known) is Cause.LATE
    assert cause_of([correction, late], known) is Cause.CORRECTION
    assert cause_of([late, void(late), correction], known) is Cause.VOID
    assert cause_of([rate("2026-01", "1300"), void(late)], known) is Cause.RATE
