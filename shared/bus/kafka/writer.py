"""Publishes for the relay: acks from all in-sync replicas, in order per key.

One batch of a partition at a time, and none behind one that failed: aiokafka would send the second
after the first has expired, and the next try both again, the second before the first. With
idempotence on, a partition that had no leader for longer than the request timeout is wedged for the
producer's life. So after any failure the producer is thrown away: the next try has a new one.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder as Batch

from shared import telemetry
from shared.bus.kafka.failures import SEND_ERRORS
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.record import HEADERS
from shared.bus.spill import Place
from shared.bus.tables import OutboxRow
from shared.settings import KafkaSettings

log = structlog.get_logger()

REQUEST_MS = 8_000
BATCH_BYTES = 400_000
START_SECONDS = 20.0
STOP_SECONDS = 5.0


def producer(settings: KafkaSettings, *, client_id: str, linger_ms: int = 5) -> AIOKafkaProducer:
    """A producer with the settings that hold our promises; not started yet."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=settings.idempotence,
        request_timeout_ms=REQUEST_MS,
        linger_ms=linger_ms,
        max_batch_size=BATCH_BYTES,
        max_request_size=1_048_576,
        # zstd: 5.9 times fewer bytes for 1.4 us an event; lz4 and gzip are slow in aiokafka
        compression_type="zstd",
    )


async def discard(used: AIOKafkaProducer) -> None:
    """Close a producer whatever it waits for, in twice the bound at most.

    With idempotence on, its own stop waits for ever while Kafka is away.
    """
    try:
        await asyncio.wait_for(used.stop(), STOP_SECONDS)
    except (*SEND_ERRORS, TimeoutError) as error:
        log.warning("producer_abandoned", error=repr(error))
        sender: asyncio.Task[None] | None = used._sender.sender_task  # noqa: SLF001
        if sender is not None:
            sender.cancel()
        with suppress(*SEND_ERRORS, TimeoutError):
            await asyncio.wait_for(used.client.close(), STOP_SECONDS)


class KafkaWriter:
    """The relay's way to Kafka."""

    def __init__(self, *, client_id: str, settings: KafkaSettings) -> None:
        self._client_id = client_id
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._discarding: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Give up what is in flight after a bound; the outbox still has it."""
        self._throw_away()
        if self._discarding:
            await asyncio.wait(self._discarding)

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        """Publish in order and await every ack. Raises KafkaUnavailable when any is unknown."""
        try:
            used = self._producer or await self._started()
            async with asyncio.timeout(2 * REQUEST_MS / 1000):
                lines = await _lines(used, rows)
                outcomes = await asyncio.gather(
                    *(_publish_line(used, place, line) for place, line in lines.items()),
                    return_exceptions=True,  # a line that fails must not leave others running
                )
            for failure in filter(None, outcomes):
                raise failure
        except (*SEND_ERRORS, TimeoutError, AssertionError, TypeError) as error:
            # The last two are aiokafka's way to say that a topic or partition is gone.
            telemetry.PRODUCER_REBUILT.labels(type(error).__name__).inc()
            self._throw_away()
            raise KafkaUnavailable(f"publishing: {error!r}") from error

    async def _started(self) -> AIOKafkaProducer:
        self._producer = producer(self._settings, client_id=self._client_id)
        await asyncio.wait_for(self._producer.start(), START_SECONDS)
        return self._producer

    def _throw_away(self) -> None:
        """The next try builds a new producer; this one is closed beside it."""
        if self._producer is not None:
            task = asyncio.create_task(discard(self._producer))
            self._discarding.add(task)
            task.add_done_callback(self._discarding.discard)
            self._producer = None


async def _lines(used: AIOKafkaProducer, rows: Sequence[OutboxRow]) -> dict[Place, list[Batch]]:
    """The rows of each partition in order, as batches."""
    lines: dict[Place, list[Batch]] = {}
    for row in rows:
        key = row.key.encode()
        partitions = len(await used.partitions_for(row.topic))
        line = lines.setdefault((row.topic, (murmur2(key) & 0x7FFFFFFF) % partitions), [])
        record = {"timestamp": None, "key": key, "value": row.payload, "headers": HEADERS}
        if not line or line[-1].append(**record) is None:
            line.append(used.create_batch())
            line[-1].append(**record)
    return lines


async def _publish_line(used: AIOKafkaProducer, place: Place, line: Sequence[Batch]) -> None:
    """Publish the batches of one partition, each after the ack of the one before."""
    topic, number = place
    for batch in line:
        await (await used.send_batch(batch, topic, partition=number))
