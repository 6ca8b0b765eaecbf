"""The usage score: what counts, how it decays, and where its edges lie."""

from datetime import timedelta
from math import exp, log

import pytest

from services.health.model.score import (
    ActiveDay,
    Band,
    Habit,
    band_of,
    days_left,
    habit_at,
    habit_of,
    holds_at,
    last_event_before,
    recent_active_days,
    recent_active_weeks,
    scale_of,
    usage_health,
    week_of,
    weeks_left,
)
from tests.unit.health.builders import active, instant

H90 = scale_of(90)
MICROSECOND = timedelta(microseconds=1)


def habit(*days: ActiveDay, silence_days: int = 90) -> Habit:
    folded = habit_of(days, scale_of(silence_days))
    assert folded is not None
    return folded


def test_one_fresh_day_scores_by_the_formula():
    at = instant("2026-03-02T12:00") + MICROSECOND

    score = usage_health(habit(active("2026-03-02")), at, H90)

    risk = 1.8 - 0.75 * log(1.5) - 1.5 * log(1.5)
    assert score == pytest.approx(100 / (1 + exp(risk)), abs=1e-6)


def test_two_weeks_of_use_score_by_the_formula():
    days = [active("2026-03-02", "08:00"), active("2026-03-04", "10:00"), active("2026-03-10")]
    at = instant("2026-04-01")

    score = usage_health(habit(*days), at, H90)

    ages = [(at - day.first_at) / timedelta(days=1) for day in days]
    h30 = sum(2 ** (-age / 30) for age in ages)
    w90 = 2 ** (-ages[0] / 90) + 2 ** (-ages[2] / 90)
    risk = 1.8 - 0.75 * log(0.5 + h30) - 1.5 * log(0.5 + w90)
    assert score == pytest.approx(100 / (1 + exp(risk)), abs=1e-12)


def test_an_event_does_not_count_at_its_own_instant():
    day = active("2026-03-02")

    assert habit_at([day], day.first_at, H90) is None
    assert habit_at([day], day.first_at + MICROSECOND, H90) is not None


def test_a_day_decays_from_its_first_event_and_is_halved_after_30_days():
    morning = active("2026-03-02", "06:00")._replace(last_at=instant("2026-03-02T23:00"))

    left = days_left(habit(morning), morning.first_at + timedelta(days=30), H90)

    assert left == 0.5


def test_a_week_decays_from_its_first_event_and_is_halved_after_90_days():
    monday, friday = active("2026-03-02"), active("2026-03-06")

    left = weeks_left(habit(monday, friday), monday.first_at + timedelta(days=90), H90)

    assert left == 0.5


def test_weeks_go_from_monday_to_sunday():
    sunday, monday = active("2026-03-01"), active("2026-03-02")

    assert week_of(monday.day, H90) == week_of(sunday.day, H90) + 1
    assert week_of(monday.day, H90) == week_of(active("2026-03-08").day, H90)
    assert weeks_left(habit(sunday, monday), monday.first_at, H90) > 1.99


def test_the_last_microsecond_of_a_day_and_the_next_midnight_are_two_days():
    days = habit(active("2026-03-03", "23:59:59.999999"), active("2026-03-04", "00:00"))

    assert days.days == pytest.approx(2, abs=1e-9)


@pytest.mark.parametrize(
    ("silence_days", "week_days"), [(1, 1), (12, 1), (30, 2), (45, 4), (90, 7), (180, 14)]
)
def test_spans_follow_the_silence_that_the_workspace_cares_about(silence_days: int, week_days: int):
    scale = scale_of(silence_days)

    assert scale.week_days == week_days
    assert scale.day_half_life == pytest.approx(silence_days / 3)
    assert scale.week_half_life == pytest.approx(silence_days)


def test_a_shorter_silence_forgets_faster():
    days = [active("2026-03-02"), active("2026-03-05"), active("2026-03-10")]
    at = instant("2026-04-10")

    short = usage_health(habit(*days, silence_days=30), at, scale_of(30))
    usual = usage_health(habit(*days), at, H90)

    assert short < usual


def test_a_kept_habit_holds_only_behind_its_newest_day_and_under_its_own_silence():
    kept = habit(active("2026-03-02"))

    assert not holds_at(kept, kept.day_at, H90)
    assert holds_at(kept, kept.day_at + MICROSECOND, H90)
    assert not holds_at(kept, instant("2026-04-01"), scale_of(30))


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (None, Band.UNKNOWN),
        (0.0, Band.RED),
        (49.999999, Band.RED),
        (50.0, Band.AMBER),
        (84.999999, Band.AMBER),
        (85.0, Band.GREEN),
    ],
)
def test_bands_begin_at_50_and_85(score: float | None, band: Band):
    assert band_of(score) is band


def test_recent_days_are_the_last_30_with_that_of_the_instant():
    days = habit(active("2026-03-01"), active("2026-03-20"), active("2026-03-30"))

    assert recent_active_days(days, instant("2026-03-30T18:00")) == 3
    assert recent_active_days(days, instant("2026-03-31")) == 3
    assert recent_active_days(days, instant("2026-03-31T00:01")) == 2
    assert recent_active_days(days, instant("2026-06-01")) == 0


def test_recent_weeks_are_the_last_13_with_that_of_the_instant():
    days = habit(active("2026-01-05"), active("2026-01-12"), active("2026-03-30"))

    assert recent_active_weeks(days, instant("2026-04-05T12:00"), H90) == 3
    assert recent_active_weeks(days, instant("2026-04-06T12:00"), H90) == 2
    assert recent_active_weeks(days, instant("2026-12-01"), H90) == 0


def test_usual_gap_is_a_moving_mean_of_the_gaps_between_active_days():
    days = [active("2026-03-01"), active("2026-03-04")]

    assert habit(days[0]).usual_gap is None
    assert habit(*days).usual_gap == pytest.approx(log(3))
    moved = habit(*days, active("2026-03-16")).usual_gap
    assert moved == pytest.approx(log(3) + (log(12) - log(3)) / 4)


def test_early_weeks_begin_within_90_days_of_the_first_event():
    inside = habit(active("2026-01-05"), active("2026-04-05", "11:59"))
    outside = habit(active("2026-01-05"), active("2026-04-05", "12:00"))

    assert inside.early_weeks == 2
    assert outside.early_weeks == 1


def test_last_event_is_the_days_first_while_the_day_goes_on():
    day = active("2026-03-02", "08:00")._replace(last_at=instant("2026-03-02T20:00"))

    assert last_event_before(habit(day), instant("2026-03-02T12:00")) == day.first_at
    assert last_event_before(habit(day), instant("2026-03-03")) == day.last_at
