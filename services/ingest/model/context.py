"""The context of an event: the named parts that are carried on, and what is read from it.

ip, userAgent and whatever else SDKs collect stop here.
"""

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from services.ingest.model import limits, personal
from services.ingest.model.refusals import InvalidJson, PayloadTooLarge
from shared.events.refusals import SchemaViolation

Identifier = str | int | float | None
Part = Raw | UnsetType


class _Sent(msgspec.Struct, rename="camel"):
    group_id: Identifier = None
    traits: Part = UNSET
    library: Part = UNSET
    page: Part = UNSET
    locale: Part = UNSET
    timezone: Part = UNSET
    app: Part = UNSET
    campaign: Part = UNSET


class _Carried(msgspec.Struct, omit_defaults=True):
    library: Part = UNSET
    page: Part = UNSET
    locale: Part = UNSET
    timezone: Part = UNSET
    app: Part = UNSET
    campaign: Part = UNSET


class Context(NamedTuple):
    """What is known from an event's context."""

    group_id: Identifier
    carried: Part
    traits: Part
    locale: Part
    time_zone: Part


CARRIED_TIMES = 4  # contexts of all events together may weigh so many times a full body
REMEMBERED = 20_000
REMEMBERED_BYTES = 1024
NOTHING = Context(None, UNSET, UNSET, UNSET, UNSET)

_decode = msgspec.json.Decoder(_Sent).decode
_encode = msgspec.json.Encoder().encode


class Contexts:
    """Reads contexts, and remembers the small ones: they come again and again."""

    def __init__(self) -> None:
        self._known: dict[bytes, Context] = {}

    def read(self, sent: Part, under: "BatchContext") -> Context:
        """The context of one event, on top of its batch's.

        Raises SchemaViolation when it cannot be carried on.
        """
        if not isinstance(sent, Raw):
            return under.whole
        source = bytes(sent)
        if source == b"null":
            return under.whole
        if under.fields:
            return _read(_merged(under.fields, source))
        known = self._known.get(source)
        if known is None:
            known = _read(source)
            if len(source) <= REMEMBERED_BYTES:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[source] = known
        return known


class BatchContext(NamedTuple):
    """What a batch says for all its events; an event's own words stand above it."""

    fields: personal.Fields
    whole: Context


NO_BATCH_CONTEXT = BatchContext({}, NOTHING)


def require_small(sent: Part, *, events: int, limit_bytes: int) -> None:
    """Raise PayloadTooLarge for a batch's context that would make far more of the body than came.

    It is carried on with every event, so it counts for each of them.
    """
    size = len(bytes(sent)) if isinstance(sent, Raw) else 0
    if size > limits.EVENT_BYTES:
        raise PayloadTooLarge(
            f"{size} bytes in the batch's context, {limits.EVENT_BYTES} at most, as in an event"
        )
    if size * events > CARRIED_TIMES * limit_bytes:
        raise PayloadTooLarge(
            f"the batch's context of {size} bytes is carried on with each of {events} events:"
            " send fewer at once, or a smaller context"
        )


def batch_context(sent: Part) -> BatchContext:
    """The context of a batch. Raises InvalidJson when it is unusable."""
    if not isinstance(sent, Raw) or bytes(sent) == b"null":
        return NO_BATCH_CONTEXT
    try:
        return BatchContext(personal.fields_of(sent), _read(bytes(sent)))
    except (msgspec.DecodeError, UnicodeDecodeError, SchemaViolation) as error:
        raise InvalidJson(f"the batch's context: {error}") from error


def _merged(fields: personal.Fields, source: bytes) -> bytes:
    try:
        return _encode(fields | personal.fields_of(source))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaViolation(f"context: {error}") from error


def _read(source: bytes) -> Context:
    if not limits.is_plain(source, objects=1):
        limits.check(source, name="context")
    try:
        sent = _decode(source)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaViolation(f"context: {error}") from error
    carried = _encode(
        _Carried(sent.library, sent.page, sent.locale, sent.timezone, sent.app, sent.campaign)
    )
    return Context(
        sent.group_id,
        Raw(carried) if carried != b"{}" else UNSET,
        sent.traits,
        sent.locale,
        sent.timezone,
    )
