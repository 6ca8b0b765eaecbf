"""The clock, as a value that is passed in: rules never read it, only doors do."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """The instant of an RFC 3339 text, in UTC. A text without offset is read as UTC.

    Raises ValueError for anything else, also for a date alone.
    """
    if len(text) < len("2026-01-01T00:00"):
        raise ValueError(f"{text!r} is no RFC 3339 instant")
    instant = datetime.fromisoformat(text[:-1] + "Z" if text.endswith("z") else text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with a `Z`, microseconds only where there are any."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
