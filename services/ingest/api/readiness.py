"""Whether the database answers: asked beside the requests, so that /ready never waits."""

import asyncio
from contextlib import suppress

from services.ingest.store import receipts
from shared.db import Database
from shared.errors import TransientError

EVERY_SECONDS = 2.0


class DatabaseProbe:
    """Asks again and again; `why_not_ready` is the last answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking: asyncio.Task[None] | None = None
        self._why_not: str | None = "has not been asked yet"

    def why_not_ready(self) -> str | None:
        """Why the database cannot be used; None while it answers."""
        return self._why_not

    def start(self) -> None:
        """Begin to ask."""
        self._asking = asyncio.create_task(self._ask())

    async def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    async def _ask(self) -> None:
        while True:
            try:
                async with self._database.transaction() as tx:
                    await receipts.answers(tx)
                self._why_not = None
            except TransientError as error:
                self._why_not = error.message
            await asyncio.sleep(EVERY_SECONDS)
