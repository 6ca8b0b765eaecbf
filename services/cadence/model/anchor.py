"""The anchor: the weekday and minute of a person's sign-up, in the zone where it happened (J11)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import NamedTuple

from services.cadence.model.zones import ZoneChain, ZoneKind, ZoneSource, zone_of
from shared.zones import Tzdata


class Weekday(StrEnum):
    """Days of the week in the order of date.weekday()."""

    MON = "MON"
    TUE = "TUE"
    WED = "WED"
    THU = "THU"
    FRI = "FRI"
    SAT = "SAT"
    SUN = "SUN"


WEEKDAYS = tuple(Weekday)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """Civil date and local time of a sign-up, and the zone in which that time is kept now.

    Seconds are dropped. After a move the zone is another than the one of the sign-up.
    """

    signed_up_on: date
    local_time: time
    zone: str
    zone_source: ZoneSource

    @property
    def weekday(self) -> Weekday:
        """The day of the week on which every occurrence falls."""
        return WEEKDAYS[self.signed_up_on.weekday()]

    @property
    def minute(self) -> int:
        """Minutes from midnight, 0 to 1,439."""
        return self.local_time.hour * 60 + self.local_time.minute


class ZoneEvent(NamedTuple):
    """What was said of a person's zone, and the instant from which it holds."""

    at: datetime
    kind: ZoneKind
    zone: str


class Regime(NamedTuple):
    """The anchor that holds from an instant on, until the next regime; None: from the sign-up."""

    starts_at: datetime | None
    anchor: Anchor


def anchor_of(signed_up_at: datetime, chain: ZoneChain, database: Tzdata) -> Anchor:
    """The anchor of a sign-up in the first usable zone of the chain (2.1, 2.2)."""
    zone, source = zone_of(chain, database)
    return _anchor_in(signed_up_at, zone, source, database)


def regimes(
    signed_up_at: datetime, chain: ZoneChain, events: Iterable[ZoneEvent], database: Tzdata
) -> Sequence[Regime]:
    """The anchors that hold one after the other, the first from the sign-up on (2.6).

    A zone that is moved to keeps the wall clock; one that is learned gives the sign-up another
    weekday and hour. What is said of no usable zone, or changes nothing, makes no regime.
    """
    anchor = anchor_of(signed_up_at, chain, database)
    found = [Regime(None, anchor)]
    for event in sorted(events, key=lambda event: event.at):
        if not database.knows(event.zone):
            continue
        anchor = _after(anchor, event, signed_up_at, database)
        if anchor == found[-1].anchor:
            continue
        if event.at <= signed_up_at:
            found[-1] = Regime(None, anchor)
        else:
            found.append(Regime(event.at, anchor))
    return found


def regime_at(found: Sequence[Regime], instant: datetime) -> Regime:
    """The regime that holds at an instant; the first one before all."""
    holding = found[0]
    for regime in found[1:]:
        if regime.starts_at is not None and regime.starts_at <= instant:
            holding = regime
    return holding


def _after(anchor: Anchor, event: ZoneEvent, signed_up_at: datetime, database: Tzdata) -> Anchor:
    match event.kind:
        case ZoneKind.MOVED:
            return replace(anchor, zone=event.zone, zone_source=ZoneSource.USER)
        case ZoneKind.LEARNED:
            return _anchor_in(signed_up_at, event.zone, ZoneSource.USER, database)


def _anchor_in(signed_up_at: datetime, zone: str, source: ZoneSource, database: Tzdata) -> Anchor:
    local = signed_up_at.astimezone(UTC).astimezone(database.zone(zone))
    return Anchor(
        signed_up_on=local.date(),
        local_time=time(local.hour, local.minute),
        zone=zone,
        zone_source=source,
    )
