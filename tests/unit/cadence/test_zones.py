"""Zones: the pinned database, the chain, and what a change of zone means."""

from pathlib import Path

import pytest

from services.cadence.model.zones import (
    ZoneChain,
    ZoneKind,
    ZoneSource,
    kind_of_change,
    unusable,
    zone_of,
)
from shared.zones import NoDatabase, UnknownZone, database_in
from tests.unit.cadence.people import DATABASE, SEOUL


@pytest.mark.parametrize(
    ("chain", "zone", "source"),
    [
        (ZoneChain(user=SEOUL, account="UTC", workspace="Europe/London"), SEOUL, "user"),
        (ZoneChain(user="Seoul", account="Europe/London"), "Europe/London", "account"),
        (ZoneChain(user="", account="nowhere", workspace="US/Pacific"), "US/Pacific", "workspace"),
        (ZoneChain(user="GMT+25"), "UTC", "default"),
        (ZoneChain(), "UTC", "default"),
    ],
)
def test_the_first_usable_zone_of_the_chain_counts(chain: ZoneChain, zone: str, source: str):
    assert zone_of(chain, DATABASE) == (zone, ZoneSource(source))


def test_what_was_skipped_can_be_logged():
    assert unusable(ZoneChain(user="Seoul", account=SEOUL), DATABASE) == ["Seoul"]


@pytest.mark.parametrize(
    "text", ["", "Asia", "..", "/etc/passwd", "tzdata.zi", "zone.tab", "asia/seoul"]
)
def test_a_text_that_is_no_zone_is_refused(text: str):
    assert not DATABASE.knows(text)
    with pytest.raises(UnknownZone):
        DATABASE.zone(text)


@pytest.mark.parametrize(
    ("known", "said", "told", "kind"),
    [
        (None, SEOUL, None, "learned"),
        ("UTC", SEOUL, None, "moved"),
        (SEOUL, SEOUL, None, None),
        ("UTC", SEOUL, "learned", "learned"),
        (None, SEOUL, "moved", "moved"),
        (SEOUL, SEOUL, "moved", None),
    ],
)
def test_a_zone_is_learned_where_none_was_known_and_moved_to_else(
    known: str | None, said: str, told: str | None, kind: str | None
):
    expected = None if kind is None else ZoneKind(kind)

    assert kind_of_change(known, said, None if told is None else ZoneKind(told)) is expected


def test_a_directory_without_a_version_is_no_database(tmp_path: Path):
    with pytest.raises(NoDatabase):
        database_in(tmp_path)
    (tmp_path / "tzdata.zi").write_text("nothing of the kind\n")
    with pytest.raises(NoDatabase):
        database_in(tmp_path)
