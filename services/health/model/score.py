"""The usage score: what the days on which an account was active say about its next silence.

A score is a pure function of the active days. `Habit` is the fold over them, day by day in day
order, so that carrying it on by one day and folding all days anew give the same bits.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

DEFAULT_SILENCE_DAYS = 90  # H while the workspace has not said another
DAY = timedelta(days=1)
EPOCH = date(1970, 1, 1).toordinal()
MONDAY = 3  # 1970-01-01 was a Thursday: so many days later than its week's Monday
EARLY = timedelta(days=90)  # the first 90 days carry the year

# risk = INTERCEPT - DAYS_WEIGHT ln(0.5 + days) - WEEKS_WEIGHT ln(0.5 + weeks); untrained, see the
# evidence behind the usage score: training buys at most 0.01 of AUC over it.
INTERCEPT = 1.8
DAYS_WEIGHT = 0.75
WEEKS_WEIGHT = 1.5
OFFSET = 0.5

SEEN_DAYS = 30  # the words speak of the last 30 days and the last 13 weeks
SEEN_WEEKS = 13
GAP_STEP = 0.25  # how far one gap between active days moves the usual gap

AMBER_FROM = 50.0
GREEN_FROM = 85.0


class Band(StrEnum):
    """What a score means: red below 50, amber below 85, green from there; unknown without use."""

    RED = "red"
    AMBER = "amber"
    GREEN = "green"
    UNKNOWN = "unknown"


class Scale(NamedTuple):
    """The spans that follow from the silence a workspace cares about; all in days."""

    silence_days: int
    day_half_life: float
    week_half_life: float
    week_days: int


@lru_cache(maxsize=1024)
def scale_of(silence_days: int) -> Scale:
    """The scale for H = `silence_days`: 30, 90 and 7 days at H = 90, in proportion at any other."""
    unit = silence_days / 90
    return Scale(silence_days, 30 * unit, 90 * unit, max(1, round(7 * unit)))


class ActiveDay(NamedTuple):
    """A UTC day on which an account was active. `first_event` is the id of the first event."""

    day: date
    first_at: datetime
    last_at: datetime
    events: int
    first_event: str


class Habit(NamedTuple):
    """The decayed counts of an account and what the words of a reason need.

    `days` counts active days as of `day_at`, `weeks` active weeks as of `week_at`: the instants of
    the first event of the newest day and week. Bit n of `recent_days` stands for the day n days
    before `day`, likewise `recent_weeks`. `usual_gap` is the moving average of ln(days between
    active days), None until there are two. `early_weeks` counts active weeks that began within 90
    days of the first event.
    """

    silence_days: int
    day: date
    day_at: datetime
    days: float
    week: int
    week_at: datetime
    weeks: float
    first_at: datetime
    last_at: datetime
    usual_gap: float | None
    recent_days: int
    recent_weeks: int
    early_weeks: int


def week_of(day: date, scale: Scale) -> int:
    """Number of the week that holds `day`; at H = 90 weeks begin on Monday."""
    return (day.toordinal() - EPOCH + MONDAY) // scale.week_days


def decayed(count: float, elapsed: timedelta, half_life_days: float) -> float:
    """What is left of `count` after `elapsed`."""
    return float(count * 2 ** (-(elapsed / DAY) / half_life_days))


def begun(day: ActiveDay, scale: Scale) -> Habit:
    """The habit of an account whose only active day is `day`."""
    return Habit(
        silence_days=scale.silence_days,
        day=day.day,
        day_at=day.first_at,
        days=1.0,
        week=week_of(day.day, scale),
        week_at=day.first_at,
        weeks=1.0,
        first_at=day.first_at,
        last_at=day.last_at,
        usual_gap=None,
        recent_days=1,
        recent_weeks=1,
        early_weeks=1,
    )


def with_day(habit: Habit | None, day: ActiveDay, scale: Scale) -> Habit:
    """`habit` carried on by `day`, which is later than all that it holds."""
    if habit is None:
        return begun(day, scale)
    assert day.day > habit.day, f"{day.day} does not come after {habit.day}"
    gap = (day.day - habit.day).days
    habit = habit._replace(
        day=day.day,
        day_at=day.first_at,
        days=decayed(habit.days, day.first_at - habit.day_at, scale.day_half_life) + 1,
        last_at=day.last_at,
        usual_gap=_usual_gap(habit.usual_gap, gap),
        recent_days=_moved_on(habit.recent_days, gap, SEEN_DAYS),
    )
    week = week_of(day.day, scale)
    if week == habit.week:
        return habit
    return habit._replace(
        week=week,
        week_at=day.first_at,
        weeks=decayed(habit.weeks, day.first_at - habit.week_at, scale.week_half_life) + 1,
        recent_weeks=_moved_on(habit.recent_weeks, week - habit.week, SEEN_WEEKS),
        early_weeks=habit.early_weeks + (day.first_at - habit.first_at < EARLY),
    )


def _usual_gap(usual: float | None, gap_days: int) -> float:
    return log(gap_days) if usual is None else usual + GAP_STEP * (log(gap_days) - usual)


def _moved_on(seen: int, by: int, kept: int) -> int:
    """The bits of `seen` as they stand `by` steps later, the newest set; `kept` bits in all."""
    return 1 if by >= kept else (seen << by | 1) & ((1 << kept) - 1)


def habit_of(days: Iterable[ActiveDay], scale: Scale) -> Habit | None:
    """The habit of an account with these active days, in day order; None without any."""
    habit: Habit | None = None
    for day in days:
        habit = with_day(habit, day, scale)
    return habit


def habit_at(days: Iterable[ActiveDay], at: datetime, scale: Scale) -> Habit | None:
    """The habit as of `at`: only events before it count. None where there was none."""
    return habit_of((day for day in days if day.first_at < at), scale)


def holds_at(habit: Habit, at: datetime, scale: Scale) -> bool:
    """Whether the kept habit is the one as of `at`: nothing in it is later, and its H is in force.

    Later events than its newest day's first may lie before `at` too: they change no count.
    """
    return habit.day_at < at and habit.silence_days == scale.silence_days


def days_left(habit: Habit, at: datetime, scale: Scale) -> float:
    """Active days, each halved every 30 days (at H = 90), as of `at`."""
    return decayed(habit.days, at - habit.day_at, scale.day_half_life)


def weeks_left(habit: Habit, at: datetime, scale: Scale) -> float:
    """Active weeks, each halved every 90 days (at H = 90), as of `at`."""
    return decayed(habit.weeks, at - habit.week_at, scale.week_half_life)


def health_of(days: float, weeks: float) -> float:
    """100 times the chance of at least one event in the next H days, from the decayed counts."""
    risk = INTERCEPT - DAYS_WEIGHT * log(OFFSET + days) - WEEKS_WEIGHT * log(OFFSET + weeks)
    return 100 / (1 + exp(risk))


def usage_health(habit: Habit, at: datetime, scale: Scale) -> float:
    """The usage score as of `at`, 0 to 100. `habit` is the one as of `at` (`holds_at`)."""
    return health_of(days_left(habit, at, scale), weeks_left(habit, at, scale))


def band_of(score: float | None) -> Band:
    """The band of a score: 50 is amber, 85 is green."""
    if score is None:
        return Band.UNKNOWN
    if score < AMBER_FROM:
        return Band.RED
    return Band.AMBER if score < GREEN_FROM else Band.GREEN


def last_whole_day(at: datetime) -> date:
    """The UTC day that holds the last instant before `at`."""
    return (at - timedelta(microseconds=1)).astimezone(UTC).date()


def days_since_use(habit: Habit, at: datetime) -> int:
    """Days since the newest active day; 0 on that day itself."""
    return (last_whole_day(at) - habit.day).days


def recent_active_days(habit: Habit, at: datetime) -> int:
    """Active days among the last 30, the day of `at` included."""
    return _seen(habit.recent_days, days_since_use(habit, at), SEEN_DAYS)


def recent_active_weeks(habit: Habit, at: datetime, scale: Scale) -> int:
    """Active weeks among the last 13, the week of `at` included."""
    return _seen(habit.recent_weeks, week_of(last_whole_day(at), scale) - habit.week, SEEN_WEEKS)


def _seen(bits: int, steps_ago: int, kept: int) -> int:
    """How many of the bits lie within the last `kept` steps, the newest being `steps_ago` old."""
    return (bits & ((1 << max(0, kept - steps_ago)) - 1)).bit_count()


def last_event_before(habit: Habit, at: datetime) -> datetime:
    """The latest event before `at` that the rollups know of.

    On a day that goes on behind `at` that is the day's first: only first and last are kept.
    """
    return habit.last_at if habit.last_at < at else habit.day_at
