"""Who may be asked, and why not: the decisions of a wave, in their order."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

FIRST_AFTER_DAYS = 45  # days after sign-up; J13: "a month and a half"
QUARANTINE_DAYS = 90  # days after the last invitation, answered or not


class Decision(StrEnum):
    """What is decided of a person in a wave; of two reasons not to ask the first counts."""

    OPTED_OUT = "opted_out"
    CHURNED = "churned"
    TOO_YOUNG = "too_young"
    QUARANTINE = "quarantine"
    ASK = "ask"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a wave asks of people: civil days since the sign-up, and since the last invitation."""

    first_after_days: int = FIRST_AFTER_DAYS
    quarantine_days: int = QUARANTINE_DAYS


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is known of a person at some instant; None: it is not, or never happened."""

    signed_up_at: datetime | None
    zone: ZoneInfo
    opted_out: bool = False
    gone_at: datetime | None = None
    last_invited_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CandidateByDate:
    """As Candidate, known by civil dates alone."""

    signed_up_on: date | None
    opted_out: bool = False
    gone_on: date | None = None
    last_invited_on: date | None = None


def eligible_from(
    signed_up_at: datetime, zone: ZoneInfo, first_after_days: int = FIRST_AFTER_DAYS
) -> datetime:
    """The first instant of asking: so many civil days later at the local time of the sign-up.

    A local time that does not exist that day is later by the gap, of one that comes twice the
    first is meant. In UTC.
    """
    return _days_later(signed_up_at, zone, first_after_days)


def quarantined_until(
    invited_at: datetime, zone: ZoneInfo, quarantine_days: int = QUARANTINE_DAYS
) -> datetime:
    """The first instant at which a person may be invited again, in UTC."""
    return _days_later(invited_at, zone, quarantine_days)


def decide(person: Candidate, rules: Rules, at: datetime) -> Decision:
    """The decision at an instant. Whoever is not known to be old enough is too young."""
    if person.opted_out:
        return Decision.OPTED_OUT
    if person.gone_at is not None and person.gone_at <= at:
        return Decision.CHURNED
    if person.signed_up_at is None or at < eligible_from(
        person.signed_up_at, person.zone, rules.first_after_days
    ):
        return Decision.TOO_YOUNG
    if person.last_invited_at is not None and at < quarantined_until(
        person.last_invited_at, person.zone, rules.quarantine_days
    ):
        return Decision.QUARANTINE
    return Decision.ASK


def decide_on(person: CandidateByDate, rules: Rules, on: date) -> Decision:
    """The decision on a civil date; the last day of a span of n days is day n - 1."""
    if person.opted_out:
        return Decision.OPTED_OUT
    if person.gone_on is not None and person.gone_on <= on:
        return Decision.CHURNED
    if person.signed_up_on is None or (on - person.signed_up_on).days < rules.first_after_days:
        return Decision.TOO_YOUNG
    if (
        person.last_invited_on is not None
        and (on - person.last_invited_on).days < rules.quarantine_days
    ):
        return Decision.QUARANTINE
    return Decision.ASK


def _days_later(instant: datetime, zone: ZoneInfo, days: int) -> datetime:
    local = instant.astimezone(zone).replace(tzinfo=None)
    return (local + timedelta(days=days)).replace(tzinfo=zone, fold=0).astimezone(UTC)
