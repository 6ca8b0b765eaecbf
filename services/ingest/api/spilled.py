"""Receipts of events in the spill, written beside the requests: nobody waits for them.

Best effort: the events themselves are safe on disk. While the database is away they wait here,
within a bound.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import structlog

from services.ingest.store import receipts
from services.ingest.store.receipts import SpilledReceipt
from shared.bus.kafka.connection import report_fault
from shared.bus.spill import Kept, Place
from shared.db import Database
from shared.errors import TransientError

log = structlog.get_logger()

EVERY_SECONDS = 0.25  # a receipt is there 2 s after the reply at the latest
LAST_SECONDS = 1.0
AT_ONCE = 5_000
MOST_WAITING = 200_000  # about 60 MB; the oldest are left out first


class _Told(msgspec.Struct):
    """What a receipt needs of an event's wire form."""

    workspace: str
    messageid: str | None = None


_decode = msgspec.json.Decoder(_Told).decode


class SpilledReceipts:
    """Notes where events wait, until their receipts come from Kafka."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[SpilledReceipt] = deque(maxlen=MOST_WAITING)
        self._writing: asyncio.Task[None] | None = None

    def note(self, place: Place, records: Sequence[Kept]) -> None:
        """Remember durable records of a place; does not wait."""
        for _, value, _ in records:
            told = _decode(value)
            if told.messageid is not None:
                self._waiting.append(SpilledReceipt(told.workspace, told.messageid, *place))

    def start(self) -> None:
        """Begin to write."""
        self._writing = asyncio.create_task(self._write_for_ever())
        self._writing.add_done_callback(report_fault)

    async def stop(self) -> None:
        """Write what waits, within a bound, and no more."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while self._waiting and await self._write_some():
                    pass

    async def _write_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            while self._waiting and await self._write_some():
                pass

    async def _write_some(self) -> bool:
        """Write the oldest that wait; whether that went well."""
        some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        try:
            async with self._database.transaction() as tx:
                await receipts.append_spilled(tx, some)
        except TransientError as error:
            log.debug("spilled_receipts_wait", error=error.message)
            self._waiting.extendleft(reversed(some))
            return False
        return True
