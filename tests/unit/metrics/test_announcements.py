"""What there is to say of a change in an account's books, and what not yet."""

from fractions import Fraction
from typing import Any

from services.metrics.model.announcements import announcement_of
from services.metrics.model.timeline import Timeline
from tests.unit.metrics.builders import books_from, instant, state

NOW = instant("2026-03-15")


def timeline(*facts: Any) -> Timeline:
    return books_from(*facts).timelines["acme"]


BEGUN = state("2026-01-10", "100")


def test_a_first_movement_in_force_is_said():
    told = announcement_of((), timeline(BEGUN), NOW, "UTC")

    assert [jump.at for jump in told.in_force] == [instant("2026-01-10")]
    assert told.restated is None


def test_a_movement_to_come_waits_for_its_time():
    ending = state("2026-01-10", "100", ends_at="2026-04-01", id=BEGUN.id)

    told = announcement_of((), timeline(ending), NOW, "UTC")

    assert [jump.at for jump in told.in_force] == [instant("2026-01-10")]
    assert list(told.scheduled) == [instant("2026-04-01")]


def test_a_movement_that_was_to_come_and_does_not_any_more_is_taken_back():
    ending = state("2026-01-10", "100", ends_at="2026-04-01", id=BEGUN.id)
    kept = state("2026-03-10", "100")

    told = announcement_of(timeline(ending), timeline(ending, kept), NOW, "UTC")

    assert list(told.unscheduled) == [instant("2026-04-01")]
    assert not told.in_force
    assert told.restated is None


def test_a_late_fact_between_others_restates_the_months_whose_movements_change():
    last = state("2026-03-01", "300")
    late = state("2026-02-01", "200")

    told = announcement_of(timeline(BEGUN, last), timeline(BEGUN, late, last), NOW, "UTC")

    assert told.restated is not None
    assert [str(month) for month in told.restated.months] == ["2026-02", "2026-03"]
    assert not told.in_force


def test_what_only_confirms_says_nothing():
    confirmed = state("2026-02-01", "100")

    told = announcement_of(timeline(BEGUN), timeline(BEGUN, confirmed), NOW, "UTC")

    assert not told.in_force
    assert told.restated is None
    assert told.past_due is None


def test_an_overdue_payment_is_said_when_it_begins_and_when_it_ends():
    overdue = state("2026-03-01", "100", status="past_due")
    paid = state("2026-03-10", "100")

    begins = announcement_of(timeline(BEGUN), timeline(BEGUN, overdue), NOW, "UTC")
    ends = announcement_of(timeline(BEGUN, overdue), timeline(BEGUN, overdue, paid), NOW, "UTC")

    assert begins.past_due == {"KRW": Fraction(100)}
    assert ends.past_due == {}
