"""When an event happened: what the client said, corrected by how wrong the client's clock is."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

ZERO = timedelta()
# What lies outside was never meant: year 1 is how some languages say "no time at all".
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
FUTURE = timedelta(days=366)
BAD_TIMESTAMP = "bad_timestamp"
SAID_CHARACTERS = 100  # so much of what is no time is kept, to be seen


class ClientClock(NamedTuple):
    """What the client's clock showed when it sent, and how far that is behind ours."""

    sent_at: str | None
    error: timedelta
    is_bad: bool
    """It showed something that is no time."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When an event happened, and what the client said of it."""

    at: datetime
    original: str | None
    is_bad: bool
    """The client said something that is no time: `at` is when we received the event."""


def parse(sent: object) -> datetime | None:
    """The instant of an ISO 8601 text, in UTC; None for anything else.

    A text without offset is read as UTC, a date alone as its first moment.
    """
    if type(sent) is not str:
        return None
    try:
        instant = datetime.fromisoformat(sent[:-1] + "Z" if sent.endswith("z") else sent)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def client_clock(sent_at: object, *, received_at: datetime, is_history: bool) -> ClientClock:
    """How wrong the client's clock is: not at all where it does not say when it sent.

    Nor of history, whose times stand as given.
    """
    if sent_at is None:
        return ClientClock(None, ZERO, is_bad=False)
    instant = parse(sent_at)
    if instant is None or not EARLIEST <= instant <= received_at + FUTURE:
        return ClientClock(None, ZERO, is_bad=not is_history)
    return ClientClock(str(sent_at), ZERO if is_history else received_at - instant, is_bad=False)


def moment(original: object, clock: ClientClock, *, received_at: datetime) -> Moment:
    """When it happened: original + (received - sent); `received_at` where the client said nothing.

    What is no time is flagged, never refused: a client with a broken clock still has something to
    say.
    """
    if original is None:
        return Moment(received_at, None, clock.is_bad)
    said = original if type(original) is str else None
    instant = parse(original)
    if instant is None:
        shown = said.replace("\x00", "")[:SAID_CHARACTERS] if said else None
        return Moment(received_at, shown, is_bad=True)
    if not EARLIEST <= instant <= received_at + FUTURE:
        return Moment(received_at, said, is_bad=True)
    return Moment(instant + clock.error if clock.error else instant, said, clock.is_bad)
