"""From the spill to Kafka: a task for each place with records, the oldest first."""

import asyncio
from functools import partial

import structlog

from shared import telemetry
from shared.bus.kafka.connection import Connection, report_fault
from shared.bus.kafka.flush import filled
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.kafka.writer import BATCH_BYTES
from shared.bus.retry import backoff_seconds
from shared.bus.spill import Place, Spill, SpillRefused

log = structlog.get_logger()

PAUSE_SECONDS = 1.0  # longest between two tries, each of which waits for Kafka by itself


class Drains:
    """Hands over what a spill holds, each batch after the ack of the last."""

    def __init__(self, spill: Spill, connection: Connection) -> None:
        self.spill = spill
        self._connection = connection
        self._draining: dict[Place, asyncio.Task[None]] = {}
        self._is_stopping = False
        self.last_batches: dict[Place, asyncio.Event] = {}
        """Of the places whose last records are on their way: set when that has an outcome."""

    def start_all(self) -> None:
        """Drain whatever the spill holds."""
        for place in self.spill.places():
            self.start(place)

    def start(self, place: Place) -> None:
        """See to it that the place is being drained."""
        if not self._is_stopping and place not in self._draining and self.spill.pending(place):
            task = asyncio.create_task(self._drain(place))
            self._draining[place] = task
            task.add_done_callback(partial(self._ended, place))

    def cancel(self) -> None:
        """Drain no more; what is on its way stays in the spill too."""
        self._is_stopping = True
        for task in self._draining.values():
            task.cancel()

    async def wait_ended(self, seconds: float) -> None:
        """Wait for the end of what was cancelled, `seconds` at most."""
        if self._draining:
            await asyncio.wait(self._draining.values(), timeout=seconds)

    def _ended(self, place: Place, task: asyncio.Task[None]) -> None:
        del self._draining[place]
        report_fault(task)
        if task.cancelled() or task.exception() is None:
            self.start(place)  # what has come between its last look and now
        else:  # a fault of ours: what stands in the spill must come out all the same
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.start, place)

    async def _drain(self, place: Place) -> None:
        tries = 0
        while self.spill.pending(place):
            try:
                done = await self._drain_some(place)
            except (KafkaUnavailable, SpillRefused) as error:
                log.debug("drain_retried", topic=place[0], partition=place[1], error=error.message)
                done = 0
            if done:
                tries = 0
            else:
                await asyncio.sleep(min(backoff_seconds(tries), PAUSE_SECONDS))
                tries += 1

    async def _drain_some(self, place: Place) -> int:
        """One batch from the spill to Kafka; how many records."""
        if self._connection.producer is None:
            return 0
        records = await self.spill.read(place, max_bytes=BATCH_BYTES)
        batch, count = filled(records)
        if not count:
            return 0
        outcome = asyncio.Event()
        if count == self.spill.pending(place):
            self.last_batches[place] = outcome
        try:
            await self._connection.produce(place, batch)
            await self.spill.drop(place, count)
        finally:
            self.last_batches.pop(place, None)
            outcome.set()
        telemetry.INGEST_DRAINED.inc(count)
        return count
