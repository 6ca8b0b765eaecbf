"""Who may be written to how often, and which message gives way to which (2.11).

One budget for messages, surveys and announcements. Days and weeks are counted in the person's own
zone; a least spacing closes the hole between 23:00 and 00:00.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.cadence.model.zones import resolved

DAY = timedelta(days=1)
LONGEST_DEFERRAL_DAYS = 7  # a message that finds no room for a week has lost its moment


class Purpose(StrEnum):
    """What a message is for."""

    ONBOARDING = "onboarding"
    FEATURE = "feature"
    NEWSLETTER = "newsletter"
    RENEWAL = "renewal"
    NPS = "nps"
    NOTICE = "notice"
    SECURITY = "security"


class Rank(IntEnum):
    """The order under a cap; the lower number goes first (2.11)."""

    DEADLINE = 0
    REQUESTED = 1
    ONBOARDING = 2
    NPS = 3
    FEATURE = 4
    NEWSLETTER = 5


class CapRule(StrEnum):
    """Which cap holds a message back."""

    PER_DAY = "cap_per_day"
    PER_WEEK = "cap_per_week"
    SPACING = "cap_spacing"


@dataclass(frozen=True, kw_only=True)
class Caps:
    """Most messages a civil day and an ISO week, None: any number, and hours between two.

    Raises ValueError for a number below 1: whom nobody may write to is a matter of consent.
    """

    per_day: int | None = 2
    per_week: int | None = 5
    spacing: timedelta = timedelta(hours=4)

    def __post_init__(self) -> None:
        for most in (self.per_day, self.per_week):
            if most is not None and most < 1:
                raise ValueError(f"a cap of {most} messages lets nothing through")


class Claim(NamedTuple):
    """A message's claim to an instant. `good_until`: after it, it has lost its use."""

    identity: str
    at: datetime
    purpose: Purpose
    requested: bool = False
    good_until: datetime | None = None

    @property
    def rank(self) -> Rank:
        """Its place in the order."""
        return rank_of(self.purpose, requested=self.requested)


class Held(NamedTuple):
    """That a message gives way to `winner`; deferred, or dropped where `deferred_to` is None."""

    rule: CapRule
    winner: str
    deferred_to: datetime | None


RANKS = {
    Purpose.RENEWAL: Rank.DEADLINE,
    Purpose.SECURITY: Rank.DEADLINE,
    Purpose.NOTICE: Rank.REQUESTED,
    Purpose.ONBOARDING: Rank.ONBOARDING,
    Purpose.NPS: Rank.NPS,
    Purpose.FEATURE: Rank.FEATURE,
    Purpose.NEWSLETTER: Rank.NEWSLETTER,
}


def rank_of(purpose: Purpose, *, requested: bool) -> Rank:
    """The rank of a message; one that a person asked for goes before all without a deadline."""
    return min(RANKS[purpose], Rank.REQUESTED) if requested else RANKS[purpose]


def held(
    claim: Claim, *, sent: Sequence[Claim], planned: Sequence[Claim], caps: Caps, zone: ZoneInfo
) -> Held | None:
    """Why the message may not go at its instant; None: it may.

    `sent` are the person's messages already handed over, `planned` those that still claim an
    instant. Of these only the ones that go first count: a better rank, and in the same rank the
    earlier. A deadline is never held back, but uses up the budget of the others.
    """
    if claim.rank is Rank.DEADLINE:
        return None
    taken = _taken(claim, sent, planned)
    broken = _broken(claim.at, taken, caps, zone)
    if broken is None:
        return None
    rule, winner = broken
    return Held(rule, winner.identity, _room(claim, taken, caps, zone))


def _taken(claim: Claim, sent: Sequence[Claim], planned: Sequence[Claim]) -> list[Claim]:
    first = [each for each in planned if _order(each) < _order(claim)]
    taken = {each.identity: each for each in (*first, *sent) if each.identity != claim.identity}
    return sorted(taken.values(), key=_order)


def _order(claim: Claim) -> tuple[Rank, datetime, str]:
    return claim.rank, claim.at, claim.identity


def _broken(
    at: datetime, taken: Sequence[Claim], caps: Caps, zone: ZoneInfo
) -> tuple[CapRule, Claim] | None:
    """The first cap that one more message at the instant would break, and the one that wins: of
    those that use the budget up the last in order, whose place the message would need.
    """
    on = _day(at, zone)
    same_day = [each for each in taken if _day(each.at, zone) == on]
    if caps.per_day is not None and len(same_day) >= caps.per_day:
        return CapRule.PER_DAY, same_day[-1]
    same_week = [each for each in taken if _week(_day(each.at, zone)) == _week(on)]
    if caps.per_week is not None and len(same_week) >= caps.per_week:
        return CapRule.PER_WEEK, same_week[-1]
    close = [each for each in taken if abs(each.at - at) < caps.spacing]
    return (CapRule.SPACING, close[0]) if close else None


def _room(claim: Claim, taken: Sequence[Claim], caps: Caps, zone: ZoneInfo) -> datetime | None:
    """The next day with room, at the same local time; None where there is none in good time."""
    for at in _same_time_on_later_days(claim.at, zone):
        if claim.good_until is not None and at > claim.good_until:
            return None
        if _broken(at, taken, caps, zone) is None:
            return at
    return None


def _same_time_on_later_days(at: datetime, zone: ZoneInfo) -> Iterable[datetime]:
    local = at.astimezone(zone).replace(tzinfo=None)
    for days in range(1, LONGEST_DEFERRAL_DAYS + 1):
        yield resolved(local + days * DAY, zone).instant.astimezone(UTC)


def _day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def _week(day: date) -> tuple[int, int]:
    year, week, _ = day.isocalendar()
    return year, week
