"""The score as of an instant, with its reasons: what each measure contributes and what changed.

Points are Shapley values: the score is 100 / (1 + exp(risk)), so what a measure adds depends on the
other. Its points are the mean of two effects of its presence against its absence, once with the
other measure absent and once with it present. `no_use`, what an account without any use scores, is
the rest. So the points add up to the score for every account, and no order of the measures is
favoured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.health.model.score import (
    DAY,
    SEEN_DAYS,
    SEEN_WEEKS,
    Band,
    Habit,
    Scale,
    band_of,
    days_left,
    days_since_use,
    health_of,
    last_event_before,
    recent_active_days,
    recent_active_weeks,
    weeks_left,
)
from services.health.model.words import NO_USE, days_in_words, gap_in_words, weeks_in_words

CONFIG_VERSION = "default@1"  # the scorecard that ships: usage alone
DELTA_DAYS = 30  # changes are told against the score so many days before
Values = Mapping[str, float | int]


class Measure(StrEnum):
    """What a score is made of."""

    ACTIVE_WEEKS = "active_weeks"
    ACTIVE_DAYS = "active_days"
    NO_USE = "no_use"


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one measure adds to the score, 0 to 100 points, and why.

    `counted` is the part of the words that counts, "9 active days of the last 30".
    """

    measure: Measure
    points: float
    counted: str
    words: str
    values: Values


@dataclass(frozen=True, kw_only=True)
class Delta:
    """How the points of a measure changed since an earlier instant."""

    measure: Measure
    points: float
    words: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How old the newest event behind a score is. None: there is no event."""

    last_event_at: datetime | None
    age_days: float | None


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score with its reasons. `coverage` is the share of the scorecard's weight with facts."""

    score: float | None
    band: Band
    coverage: float
    freshness: Freshness
    usage_health: float | None
    contributions: Sequence[Contribution]
    deltas: Sequence[Delta]
    config_version: str = CONFIG_VERSION

    @property
    def reason(self) -> str:
        """The first reason, in words."""
        return self.contributions[0].words if self.contributions else NO_USE


UNKNOWN = Score(
    score=None,
    band=Band.UNKNOWN,
    coverage=0.0,
    freshness=Freshness(last_event_at=None, age_days=None),
    usage_health=None,
    contributions=(),
    deltas=(),
)


def scored(habit: Habit | None, at: datetime, scale: Scale) -> Score:
    """The score as of `at` with its contributions, without deltas."""
    if habit is None:
        return UNKNOWN
    days, weeks = days_left(habit, at, scale), weeks_left(habit, at, scale)
    health = health_of(days, weeks)
    last_at = last_event_before(habit, at)
    return Score(
        score=health,
        band=band_of(health),
        coverage=1.0,
        freshness=Freshness(last_event_at=last_at, age_days=(at - last_at) / DAY),
        usage_health=health,
        contributions=_contributions(habit, at, scale, days=days, weeks=weeks),
        deltas=(),
    )


def points_of(days: float, weeks: float) -> dict[Measure, float]:
    """The points of each measure; they add up to `health_of(days, weeks)`."""
    nothing, both = health_of(0, 0), health_of(days, weeks)
    of_days = ((health_of(days, 0) - nothing) + (both - health_of(0, weeks))) / 2
    return {
        Measure.ACTIVE_WEEKS: both - nothing - of_days,
        Measure.ACTIVE_DAYS: of_days,
        Measure.NO_USE: nothing,
    }


def _contributions(
    habit: Habit, at: datetime, scale: Scale, *, days: float, weeks: float
) -> tuple[Contribution, ...]:
    """The heavier term first: weeks weigh twice what days weigh."""
    points = points_of(days, weeks)
    since_use = days_since_use(habit, at)
    counted_weeks, counted_days = weeks_in_words(habit, at, scale), days_in_words(habit, at)
    return (
        Contribution(
            measure=Measure.ACTIVE_WEEKS,
            points=points[Measure.ACTIVE_WEEKS],
            counted=counted_weeks,
            words=f"{counted_weeks}; {gap_in_words(habit, at)}",
            values={
                "active": recent_active_weeks(habit, at, scale),
                "of": SEEN_WEEKS,
                "decayed": weeks,
                "half_life_days": scale.week_half_life,
                "days_since_use": since_use,
            },
        ),
        Contribution(
            measure=Measure.ACTIVE_DAYS,
            points=points[Measure.ACTIVE_DAYS],
            counted=counted_days,
            words=counted_days,
            values={
                "active": recent_active_days(habit, at),
                "of": SEEN_DAYS,
                "decayed": days,
                "half_life_days": scale.day_half_life,
                "days_since_use": since_use,
            },
        ),
        Contribution(
            measure=Measure.NO_USE,
            points=points[Measure.NO_USE],
            counted="",
            words="what an account without any use scores",
            values={},
        ),
    )


def earlier(at: datetime) -> datetime:
    """The instant against which changes are told: 30 days before `at`."""
    return at - timedelta(days=DELTA_DAYS)


def deltas(now: Score, then: Score, *, since: datetime) -> tuple[Delta, ...]:
    """How the points of each measure changed from `then` to `now`, the largest change first.

    An account that had no use then starts from no points of any measure but `no_use`.
    """
    before = {part.measure: part for part in then.contributions}
    changed = [
        _delta(part, before.get(part.measure), since=since)
        for part in now.contributions
        if part.measure is not Measure.NO_USE
    ]
    return tuple(sorted(changed, key=lambda delta: -abs(delta.points)))


def _delta(now: Contribution, then: Contribution | None, *, since: datetime) -> Delta:
    was = then.values["active"] if then else 0
    return Delta(
        measure=now.measure,
        points=now.points - (then.points if then else 0.0),
        words=f"{now.counted} ({DELTA_DAYS} days before: {was})",
        since=since,
    )
