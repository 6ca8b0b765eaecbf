"""Contracts only grow: what a released version promised, the next one still gives.

`tests/contracts/snapshot.json` holds the fields of every type as they were last released; adding
a field or a type is a change of that file, removing or retyping one is a new version of the type.
`python -m tests.contracts.test_snapshots` writes it.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.events import EVENT_TYPES, TOPICS
from shared.events.base import Event

SNAPSHOT = Path(__file__).with_name("snapshot.json")


def shape(event: type[Event]) -> dict[str, Any]:
    """The fields of a type: the wire name with its JSON schema, and which ones are required."""
    schema = msgspec.json.schema(event)["$defs"][event.__name__]
    fields = {
        name: {key: value for key, value in field.items() if key not in ("description", "default")}
        for name, field in schema["properties"].items()
    }
    return {
        "topic": event.topic.name,
        "fields": fields,
        "required": schema.get("required", []),
    }


def released() -> dict[str, Any]:
    return msgspec.json.decode(SNAPSHOT.read_bytes(), type=dict[str, Any])


@pytest.mark.parametrize("event_type", released()["types"])
def test_a_released_type_keeps_its_fields(event_type: str):
    before, now = released()["types"][event_type], shape(EVENT_TYPES[event_type])

    assert now["topic"] == before["topic"]
    assert before["fields"].items() <= now["fields"].items()
    assert set(now["required"]) <= set(before["required"])


@pytest.mark.parametrize("topic", released()["topics"])
def test_a_released_topic_keeps_its_partitions(topic: str):
    assert TOPICS[topic].partitions == released()["topics"][topic]


def test_the_snapshot_knows_every_type():
    assert released()["types"].keys() == EVENT_TYPES.keys()


if __name__ == "__main__":
    now = {
        "types": {name: shape(event) for name, event in sorted(EVENT_TYPES.items())},
        "topics": {name: topic.partitions for name, topic in sorted(TOPICS.items())},
    }
    SNAPSHOT.write_bytes(msgspec.json.format(msgspec.json.encode(now), indent=1) + b"\n")
