"""The AsyncAPI 3 document: channels from topics, messages from contracts, and who reads what."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.events import EVENT_TYPES, TOPICS
from shared.events.base import Envelope, Event, Topic
from shared.service import Service

SCHEMAS = "#/components/schemas/"
MESSAGES = "#/components/messages/"
CHANNELS = "#/channels/"


def asyncapi(services: Mapping[str, Service]) -> dict[str, Any]:
    """The whole document."""
    events = sorted(EVENT_TYPES.values(), key=lambda event: event.type)
    _, schemas = msgspec.json.schema_components(
        [*events, Envelope], ref_template=SCHEMAS + "{name}"
    )
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Mainstay events",
            "version": "1",
            "description": "Every topic and every event of Mainstay: CloudEvents 1.0 in structured"
            " form, keyed by workspace and account.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic.name: channel(topic) for topic in TOPICS.values()},
        "operations": operations(services),
        "components": {
            "messages": {event.type: message(event) for event in events},
            "schemas": schemas,
        },
    }


def channel(topic: Topic) -> dict[str, Any]:
    """A topic with the messages that stand in it."""
    return {
        "address": topic.name,
        "description": f"{topic.description} Key: `{topic.key}`.",
        "messages": {
            event.type: {"$ref": MESSAGES + event.type}
            for event in EVENT_TYPES.values()
            if stands_in(event, topic)
        },
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if topic.compact else "delete"],
                    "retention.ms": -1
                    if topic.retention_days is None
                    else topic.retention_days * 86_400_000,
                },
            }
        },
    }


def stands_in(event: type[Event], topic: Topic) -> bool:
    """Whether events of this type are published to `topic`; use has lanes beside its own topic."""
    lanes = ("ingest.usage.history.v1", "ingest.usage.overflow.v1", "ingest.unattributed.v1")
    return event.topic == topic or (topic.name in lanes and event.topic.name == "ingest.usage.v1")


def message(event: type[Event]) -> dict[str, Any]:
    """A type: the CloudEvents attributes with its data."""
    return {
        "name": event.type,
        "summary": (event.__doc__ or "").strip(),
        "payload": {
            "allOf": [
                {"$ref": f"{SCHEMAS}Envelope"},
                {"properties": {"data": {"$ref": SCHEMAS + event.__name__}}},
            ]
        },
        "examples": [{"payload": {"type": event.type, "data": data}} for data in event.examples],
    }


def operations(services: Mapping[str, Service]) -> dict[str, Any]:
    """Who sends to and who receives from which topic, from the handler tables."""
    sends = {
        f"{topic.producer}.sends.{topic.name}": operation("send", topic)
        for topic in TOPICS.values()
    }
    receives = {
        f"{name}.receives.{topic.name}": operation("receive", topic)
        for name, service in services.items()
        for lane in service.lanes
        for topic in lane.topics
    }
    return sends | receives


def operation(action: str, topic: Topic) -> dict[str, Any]:
    """One direction of one topic."""
    return {"action": action, "channel": {"$ref": CHANNELS + topic.name}}
