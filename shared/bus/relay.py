"""From the outbox to Kafka: publish in commit order, await every ack, then forget.

One relay per database works at a time, by lease. A crash between ack and forgetting publishes
again; consumers drop the repeat by its id.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, Protocol

import structlog

from shared import telemetry
from shared.bus import tables
from shared.bus.retry import backoff_seconds, reason
from shared.bus.stop import Stopping, pause, unless_stopped
from shared.bus.tables import OutboxRow
from shared.db import Database, Tx
from shared.errors import MainstayError

log = structlog.get_logger()

LEASE = "relay"
LEASE_SECONDS = 10.0
BATCH_EVENTS = 1000
RETAKE_SECONDS = 1.0  # how often a relay without the lease asks for it
IDLE_SECONDS = 0.1  # a new event waits so long at most before the relay looks again


class Writer(Protocol):
    """Where the relay publishes to."""

    def publish(self, rows: Sequence[OutboxRow]) -> Coroutine[Any, Any, None]:
        """Publish in order, per key; returns when all are acknowledged.

        Raises TransientError when any outcome is unknown.
        """
        ...


class Relay:
    """Publishes one service's outbox."""

    def __init__(self, *, service: str, database: Database, writer: Writer, holder: str) -> None:
        self._service = service
        self._database = database
        self._writer = writer
        self._holder = holder
        self._fence: int | None = None
        self._renew_at = 0.0  # monotonic seconds; half the lease before it ends

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until `stopping` is set."""
        tries = 0
        while not stopping.is_set():
            seconds = IDLE_SECONDS
            try:
                published = await self._publish_some(stopping)
                seconds = 0.0 if published == BATCH_EVENTS else IDLE_SECONDS
                tries = 0
            except Stopping:
                return  # published or not, the outbox still has it
            except MainstayError as error:
                self._renew_at = 0.0  # whatever happened: is the lease still ours?
                log.warning("relay_retried", code=reason(error), error=str(error))
                seconds = backoff_seconds(tries)
                tries += 1
            except Exception:
                # A fault of ours must not end what runs beside the relay; the outbox keeps all.
                log.exception("relay_failed")
                self._renew_at = 0.0
                seconds = backoff_seconds(tries)
                tries += 1
            await pause(stopping, seconds)

    async def _publish_some(self, stopping: asyncio.Event) -> int:
        """Publish the oldest waiting events; how many. 0 also when another relay works."""
        async with self._database.transaction() as tx:
            fence = await self._held(tx)
            waiting = await tables.list_outbox(tx, BATCH_EVENTS) if fence is not None else []
        telemetry.OUTBOX_PENDING.labels(self._service).set(len(waiting))
        if fence is None or not waiting:
            return 0
        await unless_stopped(self._writer.publish(waiting), stopping)
        async with self._database.transaction() as tx:
            await tables.hold_lease(tx, LEASE, fence=fence)
            await tables.delete_outbox(tx, waiting)
        telemetry.OUTBOX_PUBLISHED.labels(self._service).inc(len(waiting))
        return len(waiting)

    async def _held(self, tx: Tx) -> int | None:
        """The fence of our lease; None while another relay holds it.

        Renewed at half its time only: a relay that has nothing to do should write nothing.
        """
        if monotonic() >= self._renew_at:
            self._fence = await tables.take_lease(
                tx, LEASE, holder=self._holder, seconds=LEASE_SECONDS
            )
            self._renew_at = monotonic() + (LEASE_SECONDS / 2 if self._fence else RETAKE_SECONDS)
            age = await tables.get_outbox_age(tx) if self._fence else 0.0
            telemetry.OUTBOX_OLDEST_SECONDS.labels(self._service).set(age)
        return self._fence
