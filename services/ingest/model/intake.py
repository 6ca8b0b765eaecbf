"""A slice of a request's events, each stamped or refused for itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from msgspec import Raw

from services.ingest.model import body, limits, personal, segment, usual
from services.ingest.model.refusals import (
    EventTooLarge,
    InvalidJson,
    UnreadableLine,
)
from services.ingest.model.segment import Reception, Sent
from services.ingest.model.wire import Stamped
from shared.events.refusals import EventRefused, SchemaViolation


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that is not accepted, with its untouched bytes."""

    index: int
    message_id: str
    code: str
    message: str
    source: bytes


class Intake(NamedTuple):
    """What became of a slice: each event is in `stamped` or in `refused`."""

    stamped: list[tuple[int, Stamped]]
    refused: list[Refused]
    assigned: list[tuple[int, str]]
    """Index and id of the events that came without an id of their own."""

    def extend(self, other: "Intake") -> None:
        """Add what became of the next slice."""
        self.stamped.extend(other.stamped)
        self.refused.extend(other.refused)
        self.assigned.extend(other.assigned)


class _Claimed(msgspec.Struct, rename="camel"):
    message_id: object = None


_decode_claimed = msgspec.json.Decoder(_Claimed).decode


def take(
    sources: Sequence[bytes],
    reception: Reception,
    *,
    new_id: Callable[[], str],
    first: int = 0,
    call: str | None = None,
) -> Intake:
    """Stamp every event of `sources`; `first` is the index of the first of them.

    `call` is the type of the one event where the path gives it.
    """
    intake = Intake([], [], [])
    usuals = [usual.read(source) if call is None else None for source in sources]
    properties = [bytes(sent.properties) for sent in usuals if sent is not None]
    # Looked at all at once, it is cheap; only where something shows is each event looked at.
    together = b"\n".join(properties)
    are_plain = limits.is_plain(together, objects=len(properties))
    may_be_private = personal.may_hold(together)
    for index, (source, sent) in enumerate(zip(sources, usuals, strict=True), start=first):
        stamped = None
        if are_plain and sent is not None:
            stamped = usual.stamp(sent, reception, may_be_private=may_be_private)
        if stamped is not None:
            intake.stamped.append((index, stamped))
        else:
            _take_one(intake, index, source, reception, new_id=new_id, call=call)
    return intake


def _take_one(
    intake: Intake,
    index: int,
    source: bytes,
    reception: Reception,
    *,
    new_id: Callable[[], str],
    call: str | None,
) -> None:
    """Stamp one event on the general road, or refuse it, under the id it gave or is given."""
    message_id = None
    try:
        sent = _read(source, call)
        if isinstance(sent, EventRefused):
            raise sent
        message_id = segment.message_id_of(sent)
        if message_id is None:
            message_id = new_id()
            intake.assigned.append((index, message_id))
        _check(sent)
        intake.stamped.append((index, segment.stamp(sent, message_id, reception)))
    except EventRefused as error:
        if message_id is None:
            message_id = _claimed_id(source)
        if message_id is None:
            message_id = new_id()
            intake.assigned.append((index, message_id))
        intake.refused.append(Refused(index, message_id, error.code, error.message, source))


def _read(source: bytes, call: str | None) -> Sent | EventRefused:
    try:
        if len(source) > limits.EVENT_BYTES:
            raise EventTooLarge(f"{len(source)} bytes in an event, {limits.EVENT_BYTES} at most")
        if not source.isascii():
            source.decode()
        return segment.read(source, call=call)
    except EventRefused as error:
        return error
    except UnicodeDecodeError as error:
        return SchemaViolation(f"not UTF-8: {error.reason} at byte {error.start}")
    except (msgspec.DecodeError, RecursionError) as error:
        fault = body.fault(source, error)
        return UnreadableLine(str(error)) if fault is None else SchemaViolation(fault)


def _check(sent: Sent) -> None:
    for name, part in (("properties", sent.properties), ("traits", sent.traits)):
        if isinstance(part, Raw) and not limits.is_plain(bytes(part), objects=1):
            limits.check(bytes(part), name=name)


def _claimed_id(source: bytes) -> str | None:
    """The id of an event that could not be read, as far as it can be shown; None without one."""
    try:
        claimed = _decode_claimed(source).message_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if len(source) > limits.EVENT_BYTES:
            return None  # one look through a whole body was enough
        try:
            claimed = body.member(source, b"messageId")
        except InvalidJson:
            return None
    if type(claimed) is not str or "\x00" in claimed:
        return None
    return claimed[: limits.MESSAGE_ID_CHARACTERS] or None
