"""Which source the zones of all services come from."""

import sys
import zoneinfo
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import services


def test_zones_are_read_from_the_packaged_data_and_not_from_the_machine():
    assert services.__name__ in sys.modules
    assert zoneinfo.TZPATH == ()
    summer_stays = datetime(2026, 11, 3, 9, tzinfo=ZoneInfo("America/Vancouver"))
    assert summer_stays.astimezone(UTC) == datetime(2026, 11, 3, 16, tzinfo=UTC)
