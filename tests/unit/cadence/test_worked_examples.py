"""The worked examples of the semantics, to the minute; `whenever` is the referee."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
import whenever
from whenever import PlainDateTime

from services.cadence.model.occurrences import Facts, Occurrence
from services.cadence.model.zones import ZoneChain, resolved
from shared.zones import packaged
from tests.unit.cadence.people import (
    DATABASE,
    LOS_ANGELES,
    SEOUL,
    at,
    database_of_2025,
    moved,
    person,
    planned,
    sends,
    skips,
)

WEEK = timedelta(days=7)

# zone, weekday and time of the anchor, civil date, instant, local time shown, what is odd
EXAMPLES = [
    ("America/New_York", "TUE", "09:30", "2025-03-04", "2025-03-04T14:30Z", "09:30", None),
    ("America/New_York", "TUE", "09:30", "2025-03-11", "2025-03-11T13:30Z", "09:30", None),
    ("America/New_York", "SUN", "02:30", "2025-03-09", "2025-03-09T07:30Z", "03:30", "gap"),
    ("America/New_York", "SUN", "02:30", "2025-03-16", "2025-03-16T06:30Z", "02:30", None),
    ("America/New_York", "SUN", "01:30", "2025-11-02", "2025-11-02T05:30Z", "01:30", "overlap"),
    ("America/New_York", "SUN", "01:30", "2025-11-09", "2025-11-09T06:30Z", "01:30", None),
    ("Europe/London", "SUN", "01:30", "2025-03-30", "2025-03-30T01:30Z", "02:30", "gap"),
    ("Europe/London", "SUN", "01:30", "2025-10-26", "2025-10-26T00:30Z", "01:30", "overlap"),
    ("Asia/Seoul", "MON", "08:10", "2025-02-10", "2025-02-09T23:10Z", "08:10", None),
    ("Australia/Lord_Howe", "SUN", "02:15", "2025-10-05", "2025-10-04T15:45Z", "02:45", "gap"),
    ("Australia/Lord_Howe", "SUN", "01:45", "2025-04-06", "2025-04-05T14:45Z", "01:45", "overlap"),
    ("Pacific/Apia", "FRI", "09:00", "2011-12-30", "2011-12-30T19:00Z", "09:00", "gap"),
    ("Pacific/Apia", "FRI", "09:00", "2012-01-06", "2012-01-05T19:00Z", "09:00", None),
    ("Asia/Kathmandu", "THU", "09:50", "2025-03-13", "2025-03-13T04:05Z", "09:50", None),
    ("Africa/Cairo", "FRI", "00:30", "2025-04-25", "2025-04-24T22:30Z", "01:30", "gap"),
    ("America/Vancouver", "TUE", "09:00", "2026-11-03", "2026-11-03T16:00Z", "09:00", None),
]


def signed_up_weeks_before(on: str, local: str, zone: str) -> Facts:
    """A person whose anchor is the date's weekday and the time, in a zone without odd days then."""
    day = date.fromisoformat(on) - 3 * WEEK
    clock = time.fromisoformat(local)
    instant = resolved(datetime.combine(day, clock), DATABASE.zone(zone)).instant
    return Facts(signed_up_at=instant, zones=ZoneChain(user=zone))


def plan_around(facts: Facts, on: date) -> list[Occurrence]:
    """What is due within two days of a civil date, wherever its midnight is."""
    return planned(facts, f"{on - timedelta(days=2)}T00:00Z", f"{on + timedelta(days=2)}T00:00Z")


@pytest.fixture
def referee() -> Iterator[None]:
    """`whenever` with the database that is shipped."""
    whenever.reset_tzpath([DATABASE.directory])
    whenever.clear_tzcache()
    yield
    whenever.reset_tzpath()
    whenever.clear_tzcache()


@pytest.mark.parametrize(
    ("zone", "weekday", "local", "on", "instant", "shown", "odd"),
    EXAMPLES,
    ids=[f"{zone} {on}" for zone, _, _, on, _, _, _ in EXAMPLES],
)
def test_a_worked_example_is_due_to_the_minute(
    zone: str, weekday: str, local: str, on: str, instant: str, shown: str, odd: str | None
):
    facts = signed_up_weeks_before(on, local, zone)

    found = plan_around(facts, date.fromisoformat(on))

    (due,) = [each for each in found if str(each.on) == on]
    assert date.fromisoformat(on).strftime("%a").upper() == weekday
    assert due.send_at == at(instant)
    assert due.send_at.astimezone(DATABASE.zone(zone)).strftime("%H:%M") == shown
    assert due.oddity == odd


@pytest.mark.parametrize(
    ("zone", "local", "on", "instant"),
    [(zone, local, on, instant) for zone, _, local, on, instant, _, _ in EXAMPLES],
)
@pytest.mark.usefixtures("referee")
def test_the_referee_resolves_each_example_alike(zone: str, local: str, on: str, instant: str):
    plain = PlainDateTime(datetime.combine(date.fromisoformat(on), time.fromisoformat(local)))

    judged = plain.assume_tz(zone, disambiguation="compatible").to_instant().to_stdlib()

    assert judged == at(instant)


def test_vancouver_is_due_an_hour_later_by_the_database_before(tmp_path: Path):
    facts = signed_up_weeks_before("2026-11-03", "09:00", "America/Vancouver")
    november = ("2026-11-03T00:00Z", "2026-11-04T00:00Z")

    before = planned(facts, *november, database=database_of_2025(tmp_path))
    now = planned(facts, *november)

    assert (sends(before), sends(now)) == (["2026-11-03T17:00Z"], ["2026-11-03T16:00Z"])
    assert [each.on for each in before] == [each.on for each in now]


def test_whoever_moves_from_seoul_to_los_angeles_keeps_the_wall_clock_and_gets_no_second_one():
    facts = person("2025-06-02T00:00Z", SEOUL, moved("2025-06-16T01:00Z", LOS_ANGELES))

    found = planned(facts, "2025-06-10T00:00Z", "2025-07-01T00:00Z")

    assert sends(found) == ["2025-06-16T00:00Z", "2025-06-23T16:00Z", "2025-06-30T16:00Z"]
    assert skips(found) == [("2025-06-16", "too_close")]
    (second,) = [each for each in found if each.skip is not None]
    assert second.due_at - at("2025-06-16T00:00Z") == timedelta(hours=16)


def test_the_shipped_database_says_which_one_it_is():
    assert packaged().version >= "2026f"
