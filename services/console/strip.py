"""The strip of daily use: a column a week, a row a weekday, a mark that grows with the use."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.console.client import DailyUse

WEEKS = 26
LEVELS = 4  # above none
PITCH = 15  # from one mark to the next, in units of the drawing
LEFT, TOP = 30, 16  # room for the names of weekdays and months
TO = "\N{EN DASH}"
# Side of the mark of each level: size tells the level where colour does not.
SIDES = (3, 6, 8, 10, 12)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A day: where it is drawn, how strong, and what is said of it."""

    x: float
    y: float
    side: int
    level: int
    words: str


@dataclass(frozen=True, kw_only=True)
class Label:
    """A word of the drawing."""

    x: float
    y: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Week:
    """A week in numbers, for those who read the strip as a table."""

    starts_on: date
    active_days: int
    events: int


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The drawing, its legend, and the same as a table, newest week first."""

    marks: Sequence[Mark]
    months: Sequence[Label]
    weekdays: Sequence[Label]
    legend: Sequence[Mark]
    weeks: Sequence[Week]
    width: int
    height: int
    summary: str


def strip_of(days: Sequence[DailyUse]) -> Strip | None:
    """The last 26 weeks of `days` (oldest first, without gaps), Monday on top; None for no days."""
    if not days:
        return None
    last = days[-1].day
    first = last - timedelta(days=last.weekday(), weeks=WEEKS - 1)
    shown = [day for day in days if day.day >= first]
    bounds = bounds_of([day.events for day in shown])
    active = [day for day in shown if day.events]
    return Strip(
        marks=[_mark(day, first, bounds) for day in shown],
        months=_months(first),
        weekdays=[
            Label(x=0, y=_y(row) + 4, words=name)
            for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))
        ],
        legend=_legend(bounds),
        weeks=_weeks(shown),
        width=LEFT + WEEKS * PITCH,
        height=TOP + 7 * PITCH,
        summary=f"Daily use since {words_of(first)}: {len(active)} active days of {len(shown)},"
        f" {sum(day.events for day in shown)} events.",
    )


def bounds_of(counts: Sequence[int]) -> list[int]:
    """The most events of each level but the highest: quartiles of the active days, none twice."""
    active = sorted(count for count in counts if count)
    if not active or active[-1] <= LEVELS:
        return list(range(1, active[-1])) if active else []
    quartiles = {active[len(active) * part // LEVELS] for part in range(1, LEVELS)}
    return sorted(quartiles - {active[-1]})


def level_of(events: int, bounds: Sequence[int]) -> int:
    """0 for no use, else 1 to 4."""
    return 1 + bisect_left(bounds, events) if events else 0


def words_of(day: date) -> str:
    """For example `Mon 3 Nov 2025`."""
    return f"{day:%a} {day.day} {day:%b %Y}"


def _mark(day: DailyUse, first: date, bounds: Sequence[int]) -> Mark:
    week, weekday = divmod((day.day - first).days, 7)
    level = level_of(day.events, bounds)
    told = f"{day.events} event{'' if day.events == 1 else 's'}" if day.events else "no use"
    return _placed(_x(week), _y(weekday), level, f"{words_of(day.day)}: {told}")


def _placed(x: float, y: float, level: int, words: str) -> Mark:
    side = SIDES[level]
    return Mark(x=x - side / 2, y=y - side / 2, side=side, level=level, words=words)


def _x(week: int) -> float:
    return LEFT + week * PITCH + PITCH / 2


def _y(weekday: int) -> float:
    return TOP + weekday * PITCH + PITCH / 2


def _months(first: date) -> list[Label]:
    """The name of a month over the first week that begins in it."""
    mondays = [first + timedelta(weeks=week) for week in range(WEEKS)]
    return [
        Label(x=LEFT + week * PITCH + 1, y=TOP - 5, words=f"{monday:%b}")
        for week, monday in enumerate(mondays)
        if monday.day <= 7  # noqa: PLR2004 - the first Monday of a month
    ]


def _legend(bounds: Sequence[int]) -> list[Mark]:
    lowest = [1, *(bound + 1 for bound in bounds)]
    ranges = ["none"]
    for level, low in enumerate(lowest):
        high = bounds[level] if level < len(bounds) else None
        ranges.append(
            f"{low}+" if high is None else f"{low}" if low == high else f"{low}{TO}{high}"
        )
    return [_placed(8, 8, level, words) for level, words in enumerate(ranges)]


def _weeks(days: Sequence[DailyUse]) -> list[Week]:
    mondays = {day.day - timedelta(days=day.day.weekday()): [0, 0] for day in days}
    for day in days:
        week = mondays[day.day - timedelta(days=day.day.weekday())]
        week[0] += day.events > 0
        week[1] += day.events
    return [
        Week(starts_on=monday, active_days=active, events=events)
        for monday, (active, events) in sorted(mondays.items(), reverse=True)
    ]
