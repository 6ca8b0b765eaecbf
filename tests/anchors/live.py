"""A scheduler that lives through time in ticks, written from the semantics and not from the rules.

Nothing is computed ahead: each tick it looks at the person's wall clock, keeps what is due in a
list, and sends from the list when it is up and the hours are not quiet. Local times are found by
looking at every tick of the days around, so all facts have to stand on ticks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

TICK = timedelta(minutes=15)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
SPACING = timedelta(hours=84)

Spans = Sequence[tuple[datetime, datetime]]


@dataclass(frozen=True, kw_only=True)
class Life:
    """Everything that happens to a person and to us."""

    signed_up_at: datetime
    zone: str
    known_at: datetime | None = None
    moves: Sequence[tuple[datetime, str, str]] = ()  # at, moved or learned, zone
    quiet: tuple[time, time] | None = None
    grace: timedelta = timedelta(hours=6)
    outages: Spans = ()
    pauses: Spans = ()
    churned_at: datetime | None = None
    reactivated_at: datetime | None = None


@dataclass
class Log:
    """What the scheduler did."""

    sends: list[datetime] = field(default_factory=list)
    late: list[datetime] = field(default_factory=list)
    skips: list[tuple[date, datetime, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Waiting:
    on: date
    due: datetime


def live(life: Life, until: datetime, zones: dict[str, ZoneInfo]) -> Log:
    """The log of the person's life up to before `until`."""
    log, waiting = Log(), list[Waiting]()
    wall = _Wall(zones[life.zone], life.signed_up_at)
    previous = life.signed_up_at
    moves = sorted(life.moves)
    now = life.signed_up_at - WEEK
    while now < until:
        just_moved = False
        while moves and moves[0][0] <= now:
            _, kind, zone = moves.pop(0)
            wall = wall.moved(zones[zone]) if kind == "moved" else wall.learned(zones[zone])
            just_moved = True
        for on in wall.dates_around(now):
            due = wall.loud(wall.due(on), life.quiet)
            passed_by = just_moved and due < now
            if due != now and not (passed_by and due - previous >= SPACING):
                continue
            if due - previous < SPACING:
                log.skips.append((on, due, "too_close"))
                continue
            previous = due
            waiting.append(Waiting(on, due))
        if _up(life, now) and wall.loud(now, life.quiet) == now:
            _send(life, now, waiting, log)
            waiting.clear()
        now += TICK
    return log


def _send(life: Life, now: datetime, waiting: list[Waiting], log: Log) -> None:
    ready = []
    for each in waiting:
        reason = _refusal(life, each.due, now)
        if reason is None:
            ready.append(each)
        else:
            log.skips.append((each.on, each.due, reason))
    for older in ready[:-1]:
        log.skips.append((older.on, older.due, "superseded"))
    for newest in ready[-1:]:
        log.sends.append(now)
        if newest.due < now:
            log.late.append(now)


def _refusal(life: Life, due: datetime, now: datetime) -> str | None:
    if _gone(life, due):
        return "churned"
    if _in(life.pauses, due):
        return "paused"
    if now - due > life.grace:
        return "missed_beyond_grace"
    if _gone(life, now) or (life.churned_at is not None and due < life.churned_at <= now):
        return "churned"
    if _in(life.pauses, now):
        return "paused"
    return None


def _gone(life: Life, at: datetime) -> bool:
    if life.churned_at is None or at < life.churned_at:
        return False
    back = life.reactivated_at
    return back is None or back <= life.churned_at or at < back


def _up(life: Life, now: datetime) -> bool:
    known = life.known_at is None or now >= life.known_at
    return known and not _in(life.outages, now)


def _in(spans: Spans, at: datetime) -> bool:
    return any(starts <= at < ends for starts, ends in spans)


@dataclass(frozen=True)
class _Wall:
    """The person's wall clock and the weekly hour on it."""

    zone: ZoneInfo
    signed_up_at: datetime
    born_in: ZoneInfo | None = None

    def moved(self, zone: ZoneInfo) -> "_Wall":
        return _Wall(zone, self.signed_up_at, self.born_in or self.zone)

    def learned(self, zone: ZoneInfo) -> "_Wall":
        return _Wall(zone, self.signed_up_at)

    @property
    def birth(self) -> datetime:
        local = self.signed_up_at.astimezone(self.born_in or self.zone)
        return local.replace(tzinfo=None, second=0, microsecond=0, fold=0)

    def dates_around(self, now: datetime) -> list[date]:
        """The weekly dates within some days of now, from the week after the sign-up on."""
        days = [now.date() + DAY * shift for shift in range(-9, 4)]
        first = self.birth.date() + WEEK
        return [day for day in days if day >= first and (day - first).days % 7 == 0]

    def due(self, on: date) -> datetime:
        return searched(datetime.combine(on, self.birth.time()), self.zone)

    def loud(self, at: datetime, quiet: tuple[time, time] | None) -> datetime:
        """The first tick from `at` on whose wall clock is outside quiet hours."""
        while quiet is not None and _quiet(at.astimezone(self.zone).time(), *quiet):
            at += TICK
        return at


def _quiet(clock: time, starts: time, ends: time) -> bool:
    if starts <= ends:
        return starts <= clock < ends
    return not ends <= clock < starts


@cache
def searched(local: datetime, zone: ZoneInfo) -> datetime:
    """The first tick that shows a local time; where none does, the last offset before it."""
    around = datetime.combine(local.date(), time(), UTC)
    tick, last_before = around - 2 * DAY, None
    while tick < around + 3 * DAY:
        shown = tick.astimezone(zone).replace(tzinfo=None, fold=0)
        if shown == local:
            return tick
        if shown < local:
            last_before = tick
        elif last_before is not None:
            break
        tick += TICK
    assert last_before is not None
    offset = last_before.astimezone(zone).utcoffset()
    assert offset is not None
    return (local - offset).replace(tzinfo=UTC)
