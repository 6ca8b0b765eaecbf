"""The strip of daily use: what it draws, and what it says without colour."""

from datetime import date, timedelta

import pytest

from services.console.client import DailyUse
from services.console.strip import SIDES, TO, bounds_of, level_of, strip_of

SUNDAY = date(2026, 11, 22)


def days_until(last: date, events: dict[date, int] | None = None) -> list[DailyUse]:
    days = [last - timedelta(days=back) for back in range(181, -1, -1)]
    return [DailyUse(day=day, events=(events or {}).get(day, 0)) for day in days]


@pytest.mark.parametrize(("last", "shown"), [(SUNDAY, 182), (date(2026, 11, 16), 176)])
def test_strip_has_26_columns_from_a_monday_to_the_last_day(last: date, shown: int):
    strip = strip_of(days_until(last))

    assert strip is not None
    assert len(strip.marks) == shown
    assert len({mark.x + mark.side / 2 for mark in strip.marks}) == 26
    assert strip.marks[0].words.startswith("Mon ")


def test_every_day_is_told_in_words():
    strip = strip_of(days_until(SUNDAY, {SUNDAY: 1, SUNDAY - timedelta(days=1): 12}))

    assert strip is not None
    assert [mark.words for mark in strip.marks[-3:]] == [
        "Fri 20 Nov 2026: no use",
        "Sat 21 Nov 2026: 12 events",
        "Sun 22 Nov 2026: 1 event",
    ]
    assert strip.summary == ("Daily use since Mon 25 May 2026: 2 active days of 182, 13 events.")


def test_mark_of_a_higher_level_is_larger_so_that_no_colour_is_needed():
    assert list(SIDES) == sorted(set(SIDES))


def test_levels_are_quartiles_of_the_active_days():
    bounds = bounds_of([0, 0, *range(1, 101)])

    assert bounds == [26, 51, 76]
    assert [level_of(events, bounds) for events in (0, 1, 26, 27, 51, 52, 76, 77, 1000)] == [
        0, 1, 1, 2, 2, 3, 3, 4, 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [([], []), ([0, 0], []), ([1], []), ([1, 2], [1]), ([1, 2, 3, 4], [1, 2, 3])],
)
def test_few_events_have_a_level_each(counts: list[int], bounds: list[int]):
    assert bounds_of(counts) == bounds


def test_one_burst_among_equal_days_is_still_seen():
    bounds = bounds_of([*[5] * 50, 900])

    assert level_of(5, bounds) < level_of(900, bounds)


def test_legend_names_the_range_of_every_level_in_use():
    strip = strip_of(days_until(SUNDAY, {SUNDAY - timedelta(days=n): n + 1 for n in range(100)}))

    assert strip is not None
    assert [mark.words for mark in strip.legend] == [
        "none",
        f"1{TO}26",
        f"27{TO}51",
        f"52{TO}76",
        "77+",
    ]


def test_table_adds_up_to_the_strip_newest_week_first():
    strip = strip_of(
        days_until(SUNDAY, {SUNDAY: 3, SUNDAY - timedelta(days=6): 4, date(2026, 6, 1): 5})
    )

    assert strip is not None
    assert len(strip.weeks) == 26
    assert (strip.weeks[0].starts_on, strip.weeks[0].active_days, strip.weeks[0].events) == (
        date(2026, 11, 16),
        2,
        7,
    )
    assert sum(week.events for week in strip.weeks) == 12


def test_account_without_days_has_no_strip():
    assert strip_of([]) is None
