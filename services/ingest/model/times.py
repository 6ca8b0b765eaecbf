"""When an event happened: what the client said, corrected by how wrong the client's clock is."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

ZERO = timedelta()
BAD_TIMESTAMP = "bad_timestamp"


class Moment(NamedTuple):
    """When an event happened, and what the client said of it."""

    at: datetime
    original: str | None
    is_bad: bool
    """The client said something that is no time: `at` is when we received the event."""


def parse(sent: Any) -> datetime | None:
    """The instant of an ISO 8601 text, in UTC; None for anything else.

    A text without offset is read as UTC, a date alone as its first moment.
    """
    if type(sent) is not str:
        return None
    try:
        instant = datetime.fromisoformat(sent)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def clock_error(sent_at: datetime | None, received_at: datetime) -> timedelta:
    """How far the client's clock is behind ours; zero where it did not say when it sent."""
    return ZERO if sent_at is None else received_at - sent_at


def moment(original: Any, *, error: timedelta, received_at: datetime) -> Moment:
    """When it happened: original + (received - sent); `received_at` where the client said nothing.

    `original` that is no time is flagged, never refused: a client with a broken clock still has
    something to say.
    """
    if original is None:
        return Moment(received_at, None, is_bad=False)
    said = original if type(original) is str else str(original)
    instant = parse(original)
    if instant is None:
        return Moment(received_at, said[:100], is_bad=True)
    try:
        return Moment(instant + error if error else instant, said, is_bad=False)
    except OverflowError:
        return Moment(received_at, said, is_bad=True)
