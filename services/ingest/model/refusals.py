"""Why a request or an event is refused. `code` is stable, the message is for people.

A request is refused as a whole (400, 401, 413); an event is refused alone, within a 200, so that
one bad event never costs its neighbours.
"""

from typing import ClassVar

from shared.errors import DomainError, TransientError
from shared.events.refusals import EventRefused


class RequestRefused(DomainError):
    """The whole request cannot be read."""

    code: ClassVar[str] = "invalid_json"
    status: ClassVar[int] = 400


class InvalidJson(RequestRefused):
    """The body is no JSON of the form that the path takes."""


class InvalidEncoding(RequestRefused):
    """The body cannot be inflated, or is packed in a way that we do not know."""

    code: ClassVar[str] = "invalid_encoding"


class EmptyBatch(RequestRefused):
    """The batch holds no event."""

    code: ClassVar[str] = "empty_batch"


class PayloadTooLarge(RequestRefused):
    """The body holds more bytes or more events than a request may."""

    code: ClassVar[str] = "payload_too_large"
    status: ClassVar[int] = 413


class LoneEventTooLarge(RequestRefused):
    """The one event of the request is over the limit; within a batch it is refused alone."""

    code: ClassVar[str] = "event_too_large"
    status: ClassVar[int] = 413


class NotDurable(TransientError):
    """The events cannot be kept safely now, or it is not known whether they are."""

    code: ClassVar[str] = "not_durable"


class MissingIdentity(EventRefused):
    """Neither user nor anonymous id: nobody to whom the event belongs."""

    code: ClassVar[str] = "missing_identity"


class MissingEvent(EventRefused):
    """A track call without the name of what was done."""

    code: ClassVar[str] = "missing_event"


class UnknownType(EventRefused):
    """The event's `type` is none of the six."""

    code: ClassVar[str] = "unknown_type"


class EventTooLarge(EventRefused):
    """The event is over the limit."""

    code: ClassVar[str] = "event_too_large"


class UnreadableLine(EventRefused):
    """A line of NDJSON that is no JSON object."""

    code: ClassVar[str] = "invalid_json"
