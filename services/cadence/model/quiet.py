"""Quiet hours: a local window of the day in which a channel waits; it delays and never skips."""

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.cadence.model.zones import resolved

DAY = timedelta(days=1)


class QuietHours(NamedTuple):
    """From `starts` to before `ends`, local time, overnight where it ends not after it starts.

    A window that ends where it starts holds nothing back.
    """

    starts: time
    ends: time

    def holds(self, clock: time) -> bool:
        """Whether a local time is inside."""
        if self.starts <= self.ends:
            return self.starts <= clock < self.ends
        return clock >= self.starts or clock < self.ends


def after_quiet(instant: datetime, quiet: QuietHours | None, zone: ZoneInfo) -> datetime:
    """The instant itself, or the end of the window that it falls into (2.10)."""
    if quiet is None:
        return instant
    local = instant.astimezone(zone)
    if not quiet.holds(local.time()):
        return instant
    overnight = quiet.starts > quiet.ends and local.time() >= quiet.starts
    ends = datetime.combine(local.date() + (DAY if overnight else timedelta()), quiet.ends)
    end = resolved(ends, zone).instant
    if end > instant:
        return end
    # The clock was set back: the window's end comes a second time, after the instant.
    return ends.replace(tzinfo=zone, fold=1).astimezone(UTC)
