"""Requests and events for tests: a builder names only what matters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.ingest.model import body as bodies
from services.ingest.model import limits
from services.ingest.model.context import batch_context
from services.ingest.model.intake import Intake, take
from services.ingest.model.segment import Reception
from shared.bus.record import HEADERS, decoder
from shared.events import EVENT_TYPES
from shared.events.base import Received

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

_decode = decoder(EVENT_TYPES.values())


@dataclass(frozen=True)
class WireRecord:
    """A record as a consumer gets it."""

    value: bytes | None
    topic: str = "ingest.usage.v1"
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_795_000_000_000
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = tuple(HEADERS)


def track(**fields: Any) -> dict[str, Any]:
    """A track event that is accepted as it is; `fields` replace its own."""
    return {"type": "track", "event": "Export", "userId": "u-1", "messageId": "m-1", **fields}


def taken(
    *events: Mapping[str, Any] | bytes,
    call: str | None = None,
    context: Any = None,
    **reception: Any,
) -> Intake:
    """What becomes of these events in one request, received at NOON."""
    sources = [
        event if isinstance(event, bytes) else msgspec.json.encode(event) for event in events
    ]
    of_batch = {} if context is None else {"batch_context": _batch_context(context)}
    shared = {"workspace": "acme", "source": "default", "received_at": NOON, **of_batch}
    ids = iter(f"given-{number}" for number in range(1, 10_000))
    return take(sources, Reception(**(shared | reception)), new_id=lambda: next(ids), call=call)


def _batch_context(context: Any) -> Any:
    return batch_context(msgspec.Raw(msgspec.json.encode(context)))


def accepted(*events: Mapping[str, Any] | bytes, **reception: Any) -> list[Received[Any]]:
    """The events as consumers read them; every one has to be accepted."""
    intake = taken(*events, **reception)
    assert not intake.refused, intake.refused
    return [received(stamped.payload, stamped.topic.name) for _, stamped in intake.stamped]


def received(payload: bytes, topic: str) -> Received[Any]:
    """An event in wire form through the decoder of every consumer."""
    decoded = _decode(WireRecord(payload, topic=topic))
    assert isinstance(decoded, Received), decoded
    return decoded


def only(event: Mapping[str, Any] | bytes, **reception: Any) -> Received[Any]:
    """The one event, accepted."""
    (found,) = accepted(event, **reception)
    return found


def refusal(event: Mapping[str, Any] | bytes, **reception: Any) -> str:
    """The code with which the one event is refused."""
    intake = taken(event, **reception)
    assert not intake.stamped, intake.stamped
    return intake.refused[0].code


def batch(body: bytes) -> bodies.Batch:
    """The body of a /v1/batch request."""
    return bodies.batch(body, most_events=limits.BATCH_EVENTS)


def data_of(event: Received[Any]) -> dict[str, Any]:
    """The event's `data` as plain JSON."""
    decoded: dict[str, Any] = msgspec.json.decode(event.envelope.data)
    return decoded
