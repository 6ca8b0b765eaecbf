"""People with sign-ups, and their plans: builders that name only what matters in a test."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from services.cadence.model.anchor import ZoneEvent
from services.cadence.model.occurrences import Facts, Occurrence, Policy, Standing, plan
from services.cadence.model.spans import Span
from services.cadence.model.zones import Tzdata, ZoneChain, ZoneKind, packaged

DATABASE = packaged()
SEOUL = "Asia/Seoul"
LOS_ANGELES = "America/Los_Angeles"


def at(text: str) -> datetime:
    """The instant of a text like 2025-06-16T01:00Z."""
    return datetime.fromisoformat(text).astimezone(UTC)


def span(starts: str, ends: str) -> Span:
    return Span(at(starts), at(ends))


def moved(when: str, zone: str) -> ZoneEvent:
    return ZoneEvent(at(when), ZoneKind.MOVED, zone)


def learned(when: str, zone: str) -> ZoneEvent:
    return ZoneEvent(at(when), ZoneKind.LEARNED, zone)


def person(
    signed_up: str, zone: str | None, *events: ZoneEvent, known: str | None = None, **standing: Any
) -> Facts:
    return Facts(
        signed_up_at=at(signed_up),
        zones=ZoneChain(user=zone),
        zone_events=events,
        known_at=None if known is None else at(known),
        standing=Standing(**standing),
    )


def planned(
    facts: Facts,
    starts: str,
    ends: str,
    *,
    policy: Policy | None = None,
    outages: Iterable[Span] = (),
    database: Tzdata = DATABASE,
) -> list[Occurrence]:
    return plan(facts, policy or Policy(), span(starts, ends), database, outages=list(outages))


def sends(found: Iterable[Occurrence]) -> list[str]:
    """The instants of sending, as 2025-06-16T01:00Z."""
    return [_text(each.send_at) for each in found if each.send_at is not None]


def skips(found: Iterable[Occurrence]) -> list[tuple[str, str]]:
    """The civil date and the reason of everything that is not sent."""
    return [(str(each.on), str(each.skip)) for each in found if each.skip is not None]


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%MZ")
