"""The envelope that Stripe puts round every object, and what one event can say."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.events.base import Event
from shared.events.ingest import Provider
from shared.events.refusals import SchemaViolation
from shared.stripe.fields import SOURCE, Seconds, Text, instant

# What people write into an object may be personal; nobody reads it here.
FREE_TEXT = frozenset({"metadata", "description"})

T = TypeVar("T")


class Said(NamedTuple):
    """What one event says: facts as plain JSON, and at most one payment with its account."""

    facts: tuple[dict[str, Any], ...] = ()
    payment: Event | None = None
    account: str | None = None


class _Data(msgspec.Struct):
    object: Raw
    previous_attributes: Raw | UnsetType = UNSET


class StripeEvent(msgspec.Struct):
    """The envelope that Stripe puts round every object."""

    id: Text
    kind: Text = msgspec.field(name="type")
    created: Seconds
    data: _Data
    api_version: str | None = None

    @property
    def at(self) -> datetime:
        """When Stripe made it."""
        return instant(self.created)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the fact of the event itself."""
        return {"id": self.id, "source": SOURCE}

    @property
    def previous(self) -> Raw | None:
        """What the changed fields were before; None where that is not told."""
        sent = self.data.previous_attributes
        return sent if isinstance(sent, Raw) and bytes(sent) != b"null" else None

    def held(self, form: type[T]) -> T:
        """The object that the event is about. Raises SchemaViolation."""
        return typed(self.data.object, form)

    def provider(self) -> Provider:
        """What the ledger may want to know beside the facts. Raises SchemaViolation."""
        previous = self.previous
        return Provider(
            event_type=self.kind,
            created=self.at,
            api_version=self.api_version,
            previous_attributes=UNSET if previous is None else without_free_text(previous),
        )


class _Claimed(msgspec.Struct):
    id: object = None


_decode_event = msgspec.json.Decoder(StripeEvent).decode
_decode_claimed = msgspec.json.Decoder(_Claimed).decode
# Numbers with a point go through as they are written: a double would change their digits.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def read(body: bytes) -> StripeEvent:
    """The event of a webhook's body. Raises SchemaViolation."""
    try:
        return _decode_event(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaViolation(f"this is no event of Stripe: {error}") from error


def claimed_id(body: bytes) -> str | None:
    """The id that a body says it has, also where it cannot be read otherwise."""
    try:
        claimed = _decode_claimed(body).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return claimed if isinstance(claimed, str) and claimed else None


def typed(part: Raw, form: type[T]) -> T:
    """The part in this form. Raises SchemaViolation where it is of another."""
    try:
        return msgspec.json.decode(part, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaViolation(f"the event's object: {error}") from error


def plain_json(part: Raw) -> Any:
    """The part as plain values. Raises SchemaViolation where it cannot be taken apart."""
    try:
        return _decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaViolation(f"the event's object: {error}") from error


def encoded(said: Any) -> Raw:
    """Plain values as JSON. Raises SchemaViolation for what is nested beyond any stack."""
    try:
        return Raw(_encode(said))
    except RecursionError as error:
        raise SchemaViolation("the event's object: nested far too deep") from error


def without_free_text(part: Raw) -> Raw:
    """An object without what people wrote into it, on whatever level. Raises SchemaViolation."""
    return encoded(_stripped(plain_json(part)))


def _stripped(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: _stripped(inner) for name, inner in value.items() if name not in FREE_TEXT
            }
        case list():
            return [_stripped(inner) for inner in value]
    return value
