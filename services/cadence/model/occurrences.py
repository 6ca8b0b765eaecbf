"""When a person's weekly messages are due, which of them are sent and which are not, and why.

`plan` schedules real sends and answers simulations alike: it knows nothing but the facts and the
policy it is given. An occurrence is named by its civil date, so that a zone that moves, or a new
IANA database, gives the same occurrence another instant and never makes a second one (2.4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from services.cadence.model.anchor import (
    Anchor,
    Regime,
    ZoneEvent,
    anchor_of,
    regime_at,
    regimes,
)
from services.cadence.model.quiet import QuietHours, after_quiet
from services.cadence.model.spans import Span, merged, span_at
from services.cadence.model.zones import Oddity, ZoneChain, ZoneSource, resolved
from shared.zones import Tzdata

WEEK = timedelta(days=7)  # civil days, never 168 hours: those drift at each change of the clock
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
AFTER_ALL = datetime.max.replace(tzinfo=UTC)
# A wait for quiet hours to end is shorter than a day and the longest change of a clock.
LONGEST_WAIT = timedelta(days=2)


class Skip(StrEnum):
    """Why an occurrence that was due is not sent."""

    MISSED_BEYOND_GRACE = "missed_beyond_grace"
    SUPERSEDED = "superseded"
    PAUSED = "paused"
    CHURNED = "churned"
    TOO_CLOSE = "too_close"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What keeps a person from being written to at times: pauses, and churn until reactivation."""

    pauses: Sequence[Span] = ()
    churned_at: datetime | None = None
    reactivated_at: datetime | None = None

    @property
    def churned(self) -> Span | None:
        """The span of churn; without reactivation after it it has no end."""
        if self.churned_at is None:
            return None
        back = self.reactivated_at
        return Span(self.churned_at, AFTER_ALL if back is None or back <= self.churned_at else back)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a person. `known_at` is when the sign-up was first known, if later (2.7)."""

    signed_up_at: datetime
    zones: ZoneChain
    zone_events: Sequence[ZoneEvent] = ()
    known_at: datetime | None = None
    standing: Standing = Standing()


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The numbers of a workspace. A lateness equal to the grace is still sent (2.8).

    `spacing` is the least time between two occurrences, and after the sign-up (2.6).
    """

    grace: timedelta = timedelta(hours=6)
    spacing: timedelta = timedelta(hours=84)
    quiet: QuietHours | None = None


class Occurrence(NamedTuple):
    """One civil date's message. `due_at` is after quiet hours; `send_at` None: it is not sent.

    `nominal_at` is the anchor's own instant, before quiet hours.
    """

    on: date
    nominal_at: datetime
    due_at: datetime
    send_at: datetime | None
    skip: Skip | None
    oddity: Oddity | None
    zone: str
    zone_source: ZoneSource

    @property
    def late(self) -> bool:
        """Whether it is sent, and later than due."""
        return self.send_at is not None and self.send_at > self.due_at


class Due(NamedTuple):
    """An occurrence before it is known what becomes of it.

    `from_` is the first instant at which it can be sent, later than due only where a move passed
    its hour by.
    """

    on: date
    nominal_at: datetime
    due_at: datetime
    from_: datetime
    oddity: Oddity | None
    anchor: Anchor
    too_close: bool = False


def plan(
    facts: Facts,
    policy: Policy,
    horizon: Span,
    database: Tzdata,
    *,
    outages: Sequence[Span] = (),
) -> list[Occurrence]:
    """What is due inside the horizon, or sent inside it, by due instant.

    `outages` are spans in which nothing could be sent; what a horizon says of an occurrence, every
    other horizon that shows it says too.
    """
    holding = regimes(facts.signed_up_at, facts.zones, facts.zone_events, database)
    down = _down(facts, outages)
    # What is sent is at most the grace late; only an outage or a move makes anything late.
    reach = policy.grace if down or len(holding) > 1 else timedelta()
    asked = Span(_less(horizon.starts_at, reach), _more(horizon.ends_at, reach))
    dues = list(_dues(facts.signed_up_at, holding, policy, asked, database))
    found = [_tried(due, facts.standing, policy, down, holding, database) for due in dues]
    return [
        each
        for each in _newest_only(dues, found)
        if each.due_at in horizon or (each.send_at is not None and each.send_at in horizon)
    ]


def refusal(
    *, due_at: datetime, send_at: datetime, standing: Standing, grace: timedelta
) -> Skip | None:
    """Why a message due at one instant may not go at another; None: it may (2.8, 2.9).

    Asked when it is planned, and again with what is known by then when it is handed over.
    """
    churned = standing.churned
    if churned is not None and due_at in churned:
        return Skip.CHURNED
    if span_at(standing.pauses, due_at) is not None:
        return Skip.PAUSED
    if send_at - due_at > grace:
        return Skip.MISSED_BEYOND_GRACE
    # Churn cancels what is due before it and not yet handed over, even if the person is back.
    if churned is not None and due_at < churned.starts_at <= send_at:
        return Skip.CHURNED
    if span_at(standing.pauses, send_at) is not None:
        return Skip.PAUSED
    return None


def anchor_at_sign_up(facts: Facts, database: Tzdata) -> Anchor:
    """The anchor that the sign-up gave, whatever was said of zones later."""
    return anchor_of(facts.signed_up_at, facts.zones, database)


def _down(facts: Facts, outages: Sequence[Span]) -> Sequence[Span]:
    """When nothing could be sent to the person: outages, and before the sign-up was known."""
    if facts.known_at is None or facts.known_at <= facts.signed_up_at:
        return merged(outages)
    return merged([*outages, Span(facts.signed_up_at, facts.known_at)])


def _dues(
    signed_up_at: datetime,
    holding: Sequence[Regime],
    policy: Policy,
    asked: Span,
    database: Tzdata,
) -> Iterator[Due]:
    """What is due in the span asked for, one regime after the other.

    Only the first occurrences of a regime can be too close to one before; those that follow are a
    week apart, so what lies before the span is passed over without being looked at.
    """
    previous = signed_up_at
    for number, regime in enumerate(holding):
        last = number + 1 == len(holding)
        until = AFTER_ALL if last else (holding[number + 1].starts_at or AFTER_ALL)
        # What a move has passed by was due before it, at most a week.
        if (regime.starts_at or BEFORE_ALL) >= _more(asked.ends_at, WEEK):
            return
        week = _Weeks(regime, policy, database)
        for due in week.first_ones(previous, until):
            if due.due_at in asked:
                yield due
            if not due.too_close:
                yield from week.after(due.on, Span(asked.starts_at, min(asked.ends_at, until)))
                previous = due.due_at if last else week.last_before(until, due).due_at


@dataclass(frozen=True)
class _Weeks:
    """The weekly civil dates of one regime, from the week after the sign-up on."""

    regime: Regime
    policy: Policy
    database: Tzdata

    def due(self, on: date) -> Due:
        """What the date gives, as if nothing else were."""
        anchor = self.regime.anchor
        zone = self.database.zone(anchor.zone)
        nominal, oddity = resolved(datetime.combine(on, anchor.local_time), zone)
        due_at = after_quiet(nominal, self.policy.quiet, zone)
        from_ = max(due_at, self.regime.starts_at or BEFORE_ALL)
        return Due(on, nominal, due_at, from_, oddity, anchor)

    def first_ones(self, previous: datetime, until: datetime) -> Iterator[Due]:
        """The occurrences due before `until`, up to the first that keeps its distance.

        One whose hour passed by when the regime began is late, not lost; but where it lies too
        close to the previous one it was that one.
        """
        starts_at = self.regime.starts_at or BEFORE_ALL
        on = self._date_from(_less(starts_at, WEEK + LONGEST_WAIT))
        while (due := self.due(on)).due_at < until:
            close = due.due_at - previous < self.policy.spacing
            if due.due_at >= starts_at or not close:
                yield due._replace(too_close=close)
            if not close:
                return
            on += WEEK

    def after(self, on: date, asked: Span) -> Iterator[Due]:
        """Those after a date that are due in the span asked for."""
        on = max(on + WEEK, self._date_from(_less(asked.starts_at, LONGEST_WAIT)))
        while (due := self.due(on)).due_at < asked.ends_at:
            if due.due_at in asked:
                yield due
            on += WEEK

    def last_before(self, until: datetime, kept: Due) -> Due:
        """The last one due before `until`, `kept` or one after it."""
        on = max(kept.on, self._date_from(_less(until, WEEK + LONGEST_WAIT)))
        last = kept
        while (due := self.due(on)).due_at < until:
            last = due
            on += WEEK
        return last

    def _date_from(self, instant: datetime) -> date:
        """The first of the dates that is not before the instant's date in UTC, less a day."""
        first = self.regime.anchor.signed_up_on + WEEK
        weeks = -((first - instant.date() + timedelta(days=1)) // WEEK)
        return first + max(0, weeks) * WEEK


def _tried(
    due: Due,
    standing: Standing,
    policy: Policy,
    down: Sequence[Span],
    holding: Sequence[Regime],
    database: Tzdata,
) -> Occurrence:
    """What becomes of it, seen by itself."""
    if due.too_close:
        return _seen(due, None, Skip.TOO_CLOSE)
    send_at = _send_at(due, policy, down, holding, database)
    skip = refusal(due_at=due.due_at, send_at=send_at, standing=standing, grace=policy.grace)
    return _seen(due, send_at if skip is None else None, skip)


def _send_at(
    due: Due,
    policy: Policy,
    down: Sequence[Span],
    holding: Sequence[Regime],
    database: Tzdata,
) -> datetime:
    """The first instant from due on at which we are up and the hours are not quiet."""
    send_at = due.from_
    while True:
        outage = span_at(down, send_at)
        back = send_at if outage is None else outage.ends_at
        if back == due.due_at:
            return back
        zone = database.zone(regime_at(holding, back).anchor.zone)
        again = after_quiet(back, policy.quiet, zone)
        if again == send_at:
            return again
        send_at = again


def _newest_only(dues: Sequence[Due], found: Sequence[Occurrence]) -> list[Occurrence]:
    """Of several that would go at once the newest alone; the others give way to it (2.8)."""
    newer_from: datetime | None = None  # since when the next later one that is sent was there
    kept: list[Occurrence] = []
    for due, each in zip(reversed(dues), reversed(found), strict=True):
        if each.send_at is None:
            kept.append(each)
        elif newer_from is not None and newer_from <= each.send_at:
            kept.append(each._replace(send_at=None, skip=Skip.SUPERSEDED))
        else:
            newer_from = due.from_
            kept.append(each)
    return kept[::-1]


def _seen(due: Due, send_at: datetime | None, skip: Skip | None) -> Occurrence:
    return Occurrence(
        on=due.on,
        nominal_at=due.nominal_at,
        due_at=due.due_at,
        send_at=send_at,
        skip=skip,
        oddity=due.oddity,
        zone=due.anchor.zone,
        zone_source=due.anchor.zone_source,
    )


def _less(instant: datetime, span: timedelta) -> datetime:
    """So much before the instant, not before all time."""
    return BEFORE_ALL if instant - BEFORE_ALL < span else instant - span


def _more(instant: datetime, span: timedelta) -> datetime:
    """So much after the instant, not after all time."""
    return AFTER_ALL if AFTER_ALL - instant < span else instant + span
