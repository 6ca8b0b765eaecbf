"""The wire form: one CloudEvents 1.0 JSON object per record. Decoding never raises, it tells."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import msgspec

from shared.events.base import (
    Caused,
    Envelope,
    Event,
    Received,
    Topic,
    caused_id,
    partition_key,
)

CONTENT_TYPE = b"application/cloudevents+json"
HEADERS: list[tuple[str, bytes]] = [("content-type", CONTENT_TYPE)]


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


class Record(Protocol):
    """A record as Kafka gives it: bytes. `timestamp` is the broker's, in milliseconds."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Malformed(msgspec.Struct, frozen=True):
    """A record that is no event of ours, or an event whose data breaks its contract."""

    code: str
    message: str
    envelope: Envelope | None = None


class Skipped(msgspec.Struct, frozen=True):
    """An event that nobody here folds: of an unknown type, or of one not listened to."""


SKIPPED = Skipped()
Decoded = Received[Any] | Malformed | Skipped
Decode = Callable[[Record], Decoded]

_decode_envelope = msgspec.json.Decoder(Envelope).decode
_encode = msgspec.json.Encoder().encode


def decoder(types: Collection[type[Event]]) -> Decode:
    """A function that decodes records of `types` and tells all others from broken ones."""
    decoders: Mapping[str, Callable[[msgspec.Raw], Event]] = {
        event.type: msgspec.json.Decoder(event).decode for event in types
    }

    @lru_cache(maxsize=64)  # of one append of a batch all records have the same time
    def appended_at(timestamp_ms: int) -> datetime:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC)

    def decode(record: Record) -> Decoded:
        if record.value is None:
            return SKIPPED  # a tombstone only ends a key of a compacted topic
        try:
            envelope = _decode_envelope(record.value)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            return Malformed("malformed", str(error))
        decode_data = decoders.get(envelope.type)
        if decode_data is None:
            return SKIPPED
        try:
            event = decode_data(envelope.data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            return Malformed("schema_violation", str(error), envelope)
        return Received(
            envelope=envelope,
            event=event,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            appended_at=appended_at(record.timestamp),
        )

    return decode


class Outgoing(NamedTuple):
    """An event in wire form, ready for the outbox."""

    event_id: str
    topic: Topic
    key: str
    payload: bytes


def outgoing(caused: Caused, *, source: str) -> Outgoing:
    """The wire form of an event that a service decided on."""
    event_id = caused_id(caused.cause_id, caused.event.type, caused.key)
    key = caused.record_key or partition_key(caused.workspace, caused.subject)
    envelope = Envelope(
        specversion="1.0",
        id=event_id,
        source=source,
        type=caused.event.type,
        workspace=caused.workspace,
        subject=caused.subject,
        partitionkey=key,
        time=caused.time,
        recordedtime=caused.time,
        data=msgspec.Raw(_encode(caused.event)),
    )
    return Outgoing(event_id, caused.event.topic, key, _encode(envelope))
