"""Quiet hours: half-open, overnight, and on nights when the clock is set."""

from datetime import time

import pytest

from services.cadence.model.quiet import QuietHours, after_quiet
from tests.unit.cadence.people import DATABASE, at

NEW_YORK = DATABASE.zone("America/New_York")
UTC = DATABASE.zone("UTC")
NIGHT = QuietHours(time(22), time(7))


@pytest.mark.parametrize(
    ("instant", "loud"),
    [
        ("2025-06-02T21:59Z", "2025-06-02T21:59Z"),
        ("2025-06-02T22:00Z", "2025-06-03T07:00Z"),
        ("2025-06-03T00:00Z", "2025-06-03T07:00Z"),
        ("2025-06-03T06:59Z", "2025-06-03T07:00Z"),
        ("2025-06-03T07:00Z", "2025-06-03T07:00Z"),
    ],
)
def test_an_overnight_window_is_not_swapped_into_a_day_window(instant: str, loud: str):
    assert after_quiet(at(instant), NIGHT, UTC) == at(loud)


@pytest.mark.parametrize(
    ("instant", "loud"),
    [
        ("2025-06-02T11:59Z", "2025-06-02T11:59Z"),
        ("2025-06-02T12:00Z", "2025-06-02T13:00Z"),
        ("2025-06-02T13:00Z", "2025-06-02T13:00Z"),
    ],
)
def test_a_window_within_a_day_holds_its_start_and_not_its_end(instant: str, loud: str):
    assert after_quiet(at(instant), QuietHours(time(12), time(13)), UTC) == at(loud)


def test_a_window_that_ends_where_it_starts_holds_nothing_back():
    instant = at("2025-06-02T12:00Z")

    assert after_quiet(instant, QuietHours(time(12), time(12)), UTC) == instant
    assert after_quiet(instant, None, UTC) == instant


def test_the_window_is_kept_by_the_wall_clock_on_the_night_of_summer_time():
    assert after_quiet(at("2025-03-09T04:00Z"), NIGHT, NEW_YORK) == at("2025-03-09T11:00Z")


def test_a_window_that_comes_twice_is_waited_for_to_its_second_end():
    second_half_past_one = at("2025-11-02T06:30Z")

    loud = after_quiet(second_half_past_one, QuietHours(time(22), time(1, 45)), NEW_YORK)

    assert loud == at("2025-11-02T06:45Z")
