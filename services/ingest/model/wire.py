"""The wire form of an event from outside: CloudEvents JSON, its source bytes spliced in.

What is the same for all events of a request is encoded once, as a prefix; the rest is one struct
whose encoding is the form itself.
"""

import re
from datetime import datetime

import msgspec
from msgspec import Raw

from shared.events.base import Event, Topic

TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_encode = msgspec.json.Encoder().encode


class Attributes(msgspec.Struct, omit_defaults=True):
    """What differs from event to event; the names are those of shared.events.base.Envelope."""

    id: str
    type: str
    partitionkey: str
    time: datetime
    subject: str | None = None
    messageid: str | None = None
    originaltime: str | None = None
    sentat: str | None = None
    warnings: str | None = None
    data: Event | Raw | None = None


class Common(msgspec.Struct, omit_defaults=True):
    """What all events of one request share."""

    specversion: str
    source: str
    workspace: str
    recordedtime: datetime
    traceparent: str | None = None


class Stamped(msgspec.Struct, frozen=True, gc=False):
    """An event in wire form, on its way to Kafka."""

    id: str
    message_id: str
    topic: Topic
    key: str
    payload: bytes
    warning: str | None = None
    """What is odd about it though it is accepted, a stable code: bad_timestamp."""


def traceparent(sent: str) -> str | None:
    """The trace that a request belongs to; None for a header that is none of W3C's form."""
    return sent if TRACEPARENT.fullmatch(sent) else None


def prefix(*, source: str, workspace: str, received_at: datetime, traceparent: str | None) -> bytes:
    """The beginning of every event of a request, up to where `spliced` goes on."""
    common = Common("1.0", source, workspace, received_at, traceparent)
    return _encode(common)[:-1] + b","


def spliced(common: bytes, attributes: Attributes) -> bytes:
    """The whole event."""
    return common + _encode(attributes)[1:]
