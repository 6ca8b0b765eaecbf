"""People with sign-ups, and their plans: builders that name only what matters in a test."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from typing import Any

from services.cadence.model.anchor import ZoneEvent
from services.cadence.model.occurrences import Facts, Occurrence, Policy, Standing, plan
from services.cadence.model.spans import Span
from services.cadence.model.zones import ZoneChain, ZoneKind
from shared.zones import Tzdata, database_in, packaged

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


def database_of_2025(below: Path) -> Tzdata:
    """The shipped database as 2025b had Vancouver: with the winter time that it gave up in 2026.

    Los Angeles still has the clock that Vancouver had.
    """
    directory = below / "zoneinfo"
    copytree(DATABASE.directory, directory)
    america = directory / "America"
    (america / "Vancouver").write_bytes((america / "Los_Angeles").read_bytes())
    source = directory / "tzdata.zi"
    _, _, rest = source.read_text().partition("\n")
    source.write_text(f"# version 2025b\n{rest}")
    return database_in(directory)


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%MZ")
