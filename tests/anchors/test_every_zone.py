"""A year of civil days in every IANA zone: one message a week, at the anchor's own minute (J11).

The referee is `whenever`, on the database that is shipped.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
import whenever
from whenever import PlainDateTime

from services.cadence.model.anchor import WEEKDAYS, anchor_of
from services.cadence.model.occurrences import Facts, Policy, plan
from services.cadence.model.spans import Span
from services.cadence.model.zones import Oddity, ZoneChain, resolved
from shared.zones import packaged

DATABASE = packaged()
EVERY_ZONE = sorted(
    name
    for name in DATABASE.directory.joinpath("../zones").resolve().read_text().split()
    if name != "Factory"
)
# Some of each kind: half-hour summer time, midnight gaps, no summer time, odd offsets, links.
A_FEW = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "America/Vancouver",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Asia/Seoul",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "US/Pacific",
)
CLOCKS = (time(0, 0), time(1, 45), time(2, 30), time(9, 0), time(23, 59))
DAY = timedelta(days=1)
WEEK = timedelta(days=7)


@pytest.fixture(autouse=True)
def referee() -> Iterator[None]:
    whenever.reset_tzpath([DATABASE.directory])
    whenever.clear_tzcache()
    yield
    whenever.reset_tzpath()
    whenever.clear_tzcache()


def year_of(zone_name: str, year: int, clock: time) -> None:
    """Every civil day of a year as the day of a sign-up, and the year after it."""
    zone = DATABASE.zone(zone_name)
    for first in (date(year, 1, 1) + DAY * number for number in range(7)):
        signed_up_at, odd = resolved(datetime.combine(first, clock), zone)
        if odd is Oddity.GAP:
            continue  # nobody signs up at a time that did not come
        facts = Facts(signed_up_at=signed_up_at, zones=ZoneChain(user=zone_name))
        anchor = anchor_of(signed_up_at, facts.zones, DATABASE)
        assert anchor.weekday is WEEKDAYS[first.weekday()]

        found = plan(
            facts, Policy(), Span(signed_up_at, signed_up_at + timedelta(days=371)), DATABASE
        )

        dates = [each.on for each in found]
        assert dates == [first + WEEK * number for number in range(1, len(dates) + 1)]
        assert len(dates) in (52, 53)
        for each in found:
            assert each.send_at is not None
            plain = PlainDateTime(datetime.combine(each.on, clock))
            judged = plain.assume_tz(zone_name, disambiguation="compatible")
            assert each.send_at == judged.to_instant().to_stdlib()
            local = each.send_at.astimezone(zone)
            on_the_minute = (local.date(), local.time()) == (each.on, clock)
            assert on_the_minute is (each.oddity is not Oddity.GAP)
        # Measured over all zones and years: 144 to 171 hours.
        gaps = [later.due_at - earlier.due_at for earlier, later in pairwise(found)]
        assert all(timedelta(hours=144) <= gap <= timedelta(hours=171) for gap in gaps)


@pytest.mark.parametrize("zone", A_FEW)
def test_every_week_of_a_year_has_one_message_at_the_minute_of_the_sign_up(zone: str):
    year_of(zone, 2025, time(2, 30))


@pytest.mark.slow
@pytest.mark.parametrize("zone", EVERY_ZONE)
def test_every_week_of_every_zone_has_one_message_at_the_minute_of_the_sign_up(zone: str):
    for year in (2011, 2025, 2026):
        for clock in CLOCKS:
            year_of(zone, year, clock)


def test_every_zone_of_the_database_can_be_used():
    assert len(EVERY_ZONE) > 590
    assert all(DATABASE.knows(zone) for zone in EVERY_ZONE)
    assert datetime(2025, 1, 1, tzinfo=UTC).astimezone(DATABASE.zone("Asia/Seoul")).hour == 9
