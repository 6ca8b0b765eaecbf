"""Whether the database answers: asked beside the requests, so that /ready never waits."""

import asyncio

from shared.bus.stop import pause
from shared.db import Database, rows
from shared.errors import TransientError

EVERY_SECONDS = 2.0


class DatabaseProbe:
    """Asks again and again; `why_not_ready` is the last answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._why_not: str | None = "has not been asked yet"

    def why_not_ready(self) -> str | None:
        """Why the database cannot be used; None while it answers."""
        return self._why_not

    async def run(self, stopping: asyncio.Event) -> None:
        """Ask until `stopping` is set."""
        while not stopping.is_set():
            try:
                async with self._database.transaction() as tx:
                    await rows(tx, "SELECT 1")
                self._why_not = None
            except TransientError as error:
                self._why_not = error.message
            await pause(stopping, EVERY_SECONDS)
