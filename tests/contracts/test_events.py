"""The contracts hold together: examples validate, types and topics are named as the rules say."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from shared.events import EVENT_TYPES, TOPICS
from shared.events.base import Envelope, Event


def examples() -> Iterator[Any]:
    for event in EVENT_TYPES.values():
        for number, example in enumerate(event.examples):
            yield pytest.param(event, example, id=f"{event.type}-{number}")


@pytest.mark.parametrize(("event", "example"), list(examples()))
def test_an_example_survives_the_wire_unchanged(event: type[Event], example: dict[str, Any]):
    decoded = msgspec.json.decode(msgspec.json.encode(example), type=event)

    again = msgspec.json.decode(msgspec.json.encode(decoded))

    assert again == example


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=lambda event: event.type)
def test_every_event_has_an_example_and_says_when_it_is_published(event: type[Event]):
    assert event.examples
    assert (event.__doc__ or "").startswith("Published ")


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_type_is_a_fact_with_a_version(event_type: str):
    assert re.fullmatch(r"[a-z]+\.[a-z_]+\.v[1-9][0-9]*", event_type)


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=lambda event: event.type)
def test_an_event_stands_in_a_declared_topic(event: type[Event]):
    assert TOPICS[event.topic.name] == event.topic


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=lambda event: event.type)
def test_readers_ignore_fields_they_do_not_know(event: type[Event]):
    newer = {**event.examples[0], "a_field_of_tomorrow": [1, {"x": None}]}

    assert isinstance(msgspec.json.decode(msgspec.json.encode(newer), type=event), event)


def test_the_usage_lanes_share_their_partition_count():
    lanes = [topic for name, topic in TOPICS.items() if name.startswith("ingest.usage.")]

    assert len(lanes) == 3
    assert len({topic.partitions for topic in lanes}) == 1


def test_a_time_without_offset_is_no_time():
    envelope = {
        "specversion": "1.0",
        "id": "default 1",
        "source": "default",
        "type": "usage.tracked.v1",
        "time": "2026-01-05T09:00:00",
        "workspace": "w",
        "partitionkey": "w/a",
        "data": {},
    }

    with pytest.raises(msgspec.ValidationError, match="time"):
        msgspec.json.decode(msgspec.json.encode(envelope), type=Envelope)
