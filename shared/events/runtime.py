"""Contracts of the runtime itself: how far a service has read, and what it gave up on."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, cast

from msgspec import Meta, defstruct, field

from shared.events.base import Event, Topic

SERVICES = (
    "ingest",
    "health",
    "cadence",
    "nps",
    "metrics",
)  # console owns no table, reads no topic


class Progressed(Event, frozen=True, kw_only=True):
    """Published once a batch and partition, in the transaction that applied the batch."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "topic": "ingest.usage.v1",
            "partition": 3,
            "next_offset": 1200,
            "at": "2026-01-05T09:00:00Z",
        },
    )

    # `topic` on the wire; the class already says in which topic the event itself stands.
    read_topic: str = field(name="topic")
    partition: int
    next_offset: Annotated[int, Meta(description="Everything below is applied.")]
    at: Annotated[datetime, Meta(description="Database time of the transaction.")]


class DeadLettered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a record is given up; it can be seen and redriven at the service."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "dead_letter": "f2b8",
            "topic": "ingest.usage.v1",
            "partition": 3,
            "offset": 1199,
            "reason": "malformed",
        },
    )

    dead_letter: Annotated[str, Meta(description="Id of the dead letter at the service.")]
    # `topic` on the wire; the class already says in which topic the event itself stands.
    read_topic: str = field(name="topic")
    partition: int
    offset: int
    reason: Annotated[str, Meta(description="Stable code.")]
    event_id: str | None = None


def runtime_topic(service: str) -> Topic:
    """Where `service` speaks of its own progress."""
    return Topic(
        name=f"{service}.runtime.v1",
        producer=service,
        description=f"How far {service} has read each topic, and what it gave up on.",
        key="<topic>/<partition>",
        partitions=1,
        retention_days=7,
    )


RUNTIME_TOPICS = {service: runtime_topic(service) for service in SERVICES}


def _of_service(base: type[Event], service: str, fact: str) -> type[Event]:
    """`base` under the type and topic of one service; the fields are the same for all."""
    namespace = {
        "type": f"{service}.{fact}.v1",
        "topic": RUNTIME_TOPICS[service],
        "__doc__": base.__doc__,
    }
    name = f"{service.capitalize()}{base.__name__}"
    made = defstruct(name, [], bases=(base,), namespace=namespace, frozen=True, kw_only=True)
    return cast("type[Event]", made)


PROGRESSED = {service: _of_service(Progressed, service, "progressed") for service in SERVICES}
DEAD_LETTERED = {
    service: _of_service(DeadLettered, service, "dead_lettered") for service in SERVICES
}
