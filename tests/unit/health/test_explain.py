"""Reasons: points that add up, and words that people can repeat."""

from datetime import timedelta
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.health.model.explain import (
    UNKNOWN,
    Measure,
    deltas,
    earlier,
    points_of,
    scored,
)
from services.health.model.score import Band, habit_at, health_of, scale_of
from tests.unit.health.builders import active, instant

H90 = scale_of(90)
COUNTS = st.floats(min_value=0, max_value=50)


@given(days=COUNTS, weeks=COUNTS)
def test_points_add_up_to_the_score(days: float, weeks: float):
    points = points_of(days, weeks)

    assert sum(points.values()) == pytest.approx(health_of(days, weeks), abs=1e-9)


@given(days=COUNTS, weeks=COUNTS)
def test_use_never_takes_points_away(days: float, weeks: float):
    points = points_of(days, weeks)

    assert points[Measure.ACTIVE_DAYS] >= 0
    assert points[Measure.ACTIVE_WEEKS] >= -1e-12


def test_no_use_leaves_the_points_of_an_account_without_any():
    points = points_of(0, 0)

    assert points[Measure.ACTIVE_DAYS] == points[Measure.ACTIVE_WEEKS] == 0
    assert points[Measure.NO_USE] == pytest.approx(100 / (1 + exp(1.8 + 2.25 * log(2))))


def test_a_habit_broken_off_is_told_by_weeks_and_gap():
    start = instant("2026-01-05T12:00")
    days = [active(f"{start + timedelta(days=n):%Y-%m-%d}") for n in range(0, 73, 3)]

    score = scored(habit_at(days, instant("2026-03-30"), H90), instant("2026-03-30"), H90)

    assert score.reason == "11 active weeks of the last 13; usually every 3 days, now 11"
    assert score.contributions[1].words == "7 active days of the last 30"


def test_one_day_of_use_has_no_usual_gap():
    days = [active("2026-03-02")]

    today = scored(
        habit_at(days, instant("2026-03-02T13:00"), H90), instant("2026-03-02T13:00"), H90
    )
    later = scored(habit_at(days, instant("2026-03-06"), H90), instant("2026-03-06"), H90)

    assert today.reason == "1 active week of the last 13; used today for the first time"
    assert later.reason == "1 active week of the last 13; used on one day, 3 days ago"


def test_an_account_long_silent_is_told_so():
    days = [active("2025-01-01"), active("2025-01-02")]
    at = instant("2026-01-01T12:00")

    score = scored(habit_at(days, at, H90), at, H90)

    assert score.reason == "no active weeks of the last 13; usually every day, now 364"
    assert score.band is Band.RED


def test_weeks_of_another_length_are_told_by_their_days():
    days = [active("2026-03-02")]
    at = instant("2026-03-03")

    score = scored(habit_at(days, at, scale_of(45)), at, scale_of(45))

    assert score.reason.startswith("1 active 4-day span of the last 13")


def test_without_use_nothing_is_known_and_nothing_is_green():
    score = scored(None, instant("2026-03-03"), H90)

    assert score is UNKNOWN
    assert (score.score, score.band, score.coverage) == (None, Band.UNKNOWN, 0)
    assert score.reason == "no use of the product so far"


def test_deltas_add_up_to_the_change_of_the_score():
    days = [active("2026-01-05"), active("2026-02-20"), active("2026-02-28"), active("2026-03-01")]
    at = instant("2026-03-05")
    now = scored(habit_at(days, at, H90), at, H90)
    then = scored(habit_at(days, earlier(at), H90), earlier(at), H90)

    changed = deltas(now, then, since=earlier(at))

    assert now.score is not None
    assert then.score is not None
    assert sum(delta.points for delta in changed) == pytest.approx(now.score - then.score)
    assert abs(changed[0].points) >= abs(changed[1].points)
    words = {delta.measure: delta.words for delta in changed}
    assert words[Measure.ACTIVE_DAYS] == "3 active days of the last 30 (30 days before: 1)"
