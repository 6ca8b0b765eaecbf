"""The guard against a program that would write to very many people at once."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.errors import DomainError

HOUR = timedelta(hours=1)


class Peak(NamedTuple):
    """The busiest hour: its first message and how many go in the hour from it on."""

    starts_at: datetime | None
    messages: int


class NeedsConfirmation(DomainError):
    """The change would send so much in an hour that somebody has to say the number."""

    code = "confirmation_needed"
    status = 409


def peak_of(sends: Iterable[datetime]) -> Peak:
    """The busiest span of an hour, its end not inside; the earliest of several."""
    ordered = sorted(sends)
    peak, first = Peak(None, 0), 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= HOUR:
            first += 1
        if last - first + 1 > peak.messages:
            peak = Peak(ordered[first], last - first + 1)
    return peak


def guard(sends: Iterable[datetime], *, most: int, confirmed: int | None) -> Peak:
    """The busiest hour, where it holds at most `most` messages or its number was confirmed.

    Raises NeedsConfirmation otherwise, also where another number was confirmed: the people that a
    program reaches may be others by now.
    """
    peak = peak_of(sends)
    if peak.messages > most and confirmed != peak.messages:
        raise NeedsConfirmation(
            f"this would send {peak.messages} messages in the hour from {peak.starts_at}, more than"
            f" {most}; send it again with confirmed={peak.messages}"
        )
    return peak
