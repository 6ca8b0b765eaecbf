"""When an event happened: clocks that are wrong, times that are none."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.ingest.builders import NOON, only, track


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z"),
        ("2026-11-01T12:00:00.123Z", "2026-11-01T12:00:00.123Z"),
        ("2026-11-01T12:00:00.123456+00:00", "2026-11-01T12:00:00.123456Z"),
        ("2026-11-01T21:00:00+09:00", "2026-11-01T12:00:00Z"),
        ("2026-11-01T12:00:00z", "2026-11-01T12:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2027-11-23T12:00:00Z", "2027-11-23T12:00:00Z"),
        ("2026-11-01T12:00:00", "2026-11-01T12:00:00Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
    ],
)
def test_time_of_the_client_is_read(sent: str, expected: str):
    event = only(track(timestamp=sent))

    assert event.envelope.time == instant(expected)
    assert event.envelope.originaltime == sent
    assert event.envelope.warnings is None


@pytest.mark.parametrize(
    "sent", ["2015-2-02", "yesterday", "", "2026-13-01T00:00:00Z", 1_700_000_000, {}, True]
)
@pytest.mark.parametrize("is_history", [False, True])
def test_time_that_is_none_becomes_the_received_time_and_is_flagged(sent: Any, *, is_history: bool):
    event = only(track(timestamp=sent), is_history=is_history)

    assert event.envelope.time == NOON
    assert event.envelope.warnings == "bad_timestamp"


def test_event_without_time_happened_when_it_was_received():
    event = only(track())

    assert (event.envelope.time, event.envelope.originaltime) == (NOON, None)
    assert event.envelope.warnings is None


def test_clock_that_is_an_hour_ahead_is_corrected():
    event = only(track(timestamp="2026-11-22T12:50:00Z"), sent_at="2026-11-22T13:00:00Z")

    assert event.envelope.time == instant("2026-11-22T11:50:00Z")
    assert event.envelope.originaltime == "2026-11-22T12:50:00Z"
    assert event.envelope.sentat == "2026-11-22T13:00:00Z"


def test_clock_of_the_event_wins_over_the_clock_of_the_batch():
    event = only(
        track(timestamp="2026-11-22T11:50:00Z", sentAt="2026-11-22T12:00:00Z"),
        sent_at="2026-11-22T20:00:00Z",
    )

    assert event.envelope.time == instant("2026-11-22T11:50:00Z")


def test_original_timestamp_wins_over_timestamp():
    event = only(track(originalTimestamp="2026-11-01T00:00:00Z", timestamp="2026-11-02T00:00:00Z"))

    assert event.envelope.time == instant("2026-11-01T00:00:00Z")


def test_times_of_history_stand_as_given():
    event = only(
        track(timestamp="2024-01-01T00:00:00Z"), sent_at="2026-11-22T13:00:00Z", is_history=True
    )

    assert event.envelope.time == instant("2024-01-01T00:00:00Z")


def test_unreadable_clock_is_flagged_and_corrects_nothing():
    event = only(track(timestamp="2026-11-22T11:00:00Z"), sent_at="noon")

    assert event.envelope.time == instant("2026-11-22T11:00:00Z")
    assert (event.envelope.sentat, event.envelope.warnings) == (None, "bad_timestamp")


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"])
def test_correction_beyond_the_calendar_is_flagged(sent: str):
    event = only(track(timestamp=sent), sent_at="2020-01-01T00:00:00Z")

    assert event.envelope.time == NOON
    assert event.envelope.warnings == "bad_timestamp"


@pytest.mark.parametrize(
    "sent",
    [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2027-11-23T12:00:01Z",
        "9999-12-31T23:59:59Z",
    ],
)
@pytest.mark.parametrize("is_history", [False, True])
def test_time_that_cannot_be_meant_is_flagged(sent: str, *, is_history: bool):
    event = only(track(timestamp=sent), is_history=is_history)

    assert (event.envelope.time, event.envelope.originaltime) == (NOON, sent)
    assert event.envelope.warnings == "bad_timestamp"


def test_clock_that_cannot_be_meant_corrects_nothing():
    event = only(track(timestamp="2026-11-22T11:00:00Z"), sent_at="0001-01-01T00:00:00Z")

    assert event.envelope.time == instant("2026-11-22T11:00:00Z")
    assert event.envelope.warnings == "bad_timestamp"
