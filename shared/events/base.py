"""What a contract is: a Topic, an Event that stands in it, and the Envelope around every event."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from uuid import UUID, uuid5

import msgspec

# One fixed namespace, so that an id derived on any machine in any year is the same.
ID_NAMESPACE = UUID("5f0c8f3e-3f0a-5d1c-9d2b-6d61696e7374")


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A Kafka topic as its producer declares it. Partition counts are fixed for life."""

    name: str
    producer: str
    description: str
    key: str
    partitions: int
    retention_days: int | None = (
        None  # None: kept for ever, so that a rebuild can fold from the start
    )
    compact: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `data` of one event. An absent optional field means unknown, never 0."""

    type: ClassVar[str]
    topic: ClassVar[Topic]
    examples: ClassVar[tuple[dict[str, Any], ...]] = ()


E = TypeVar("E", bound=Event)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The CloudEvents 1.0 attributes around `data`, which is kept as its source bytes.

    `subject` is the account, absent where none is known. `time` is when it happened,
    `recordedtime` when we received it, `originaltime` and `sentat` what the client said.
    """

    specversion: str
    id: str
    source: str
    type: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    workspace: str
    partitionkey: str
    data: msgspec.Raw
    subject: str | None = None
    messageid: str | None = None
    recordedtime: datetime | None = None
    originaltime: str | None = None
    sentat: str | None = None
    traceparent: str | None = None
    synthetic: bool = False
    warnings: str | None = None


class Received(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """An event as it was read: its attributes, its data, and where it stands in Kafka.

    `appended_at` is the broker's clock, the same in every rebuild.
    """

    envelope: Envelope
    event: E
    topic: str
    partition: int
    offset: int
    appended_at: datetime


class Caused(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a fold or a job decided on; the runtime gives it an id and publishes it.

    `cause_id` is the event (or job run) it follows from, `key` tells several effects of one
    cause apart. `record_key` is given only where the key is not `workspace/account`.
    """

    event: Event
    workspace: str
    cause_id: str
    time: datetime
    subject: str | None = None
    key: str = ""
    record_key: str | None = None


def caused_id(cause_id: str, event_type: str, key: str) -> str:
    """Id of the event that `cause_id` causes: a replay makes the same, so consumers drop it."""
    return str(uuid5(ID_NAMESPACE, f"{cause_id} {event_type} {key}"))


def partition_key(workspace: str, account: str | None, person: str | None = None) -> str:
    """Record key: `workspace/account`, else `workspace/~person`, else `workspace/`."""
    if account is not None:
        return f"{workspace}/{account}"
    return f"{workspace}/" if person is None else f"{workspace}/~{person}"
