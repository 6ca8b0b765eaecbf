"""No more than so many a second, in the order asked."""

import asyncio
from time import monotonic


class Pace:
    """Lets one caller through every 1/`per_second` seconds."""

    def __init__(self, per_second: float) -> None:
        self._gap_seconds = 1.0 / per_second
        self._next_at = 0.0

    async def wait(self) -> None:
        """Return when it is this caller's turn."""
        now = monotonic()
        turn_at = max(now, self._next_at)
        self._next_at = turn_at + self._gap_seconds
        if turn_at > now:
            await asyncio.sleep(turn_at - now)
