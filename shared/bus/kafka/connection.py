"""One producer at a time that heals: whichever is wedged or hangs is replaced by a new one.

A new producer has a new id and no memory, so that it works at once where the old one would fail
until a restart. What the old one still delivers meets its own id in every consumer.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from shared import telemetry
from shared.bus.kafka.failures import SEND_ERRORS
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.kafka.writer import REQUEST_MS, START_SECONDS, discard, producer
from shared.bus.retry import backoff_seconds
from shared.bus.spill import Place
from shared.events.base import Topic
from shared.settings import KafkaSettings

log = structlog.get_logger()

CLOSE_SECONDS = 2.0  # at a stop all outcomes are settled: nothing hangs on an orderly close
GREETING_SECONDS = 3.0  # a broker that is silent for so long is greeted by the first batch for it
# A batch may wait one request timeout for the batch before it and one for itself; aiokafka with
# idempotence would wait for ever.
HUNG_SECONDS = 2 * REQUEST_MS / 1000 + 2

WEDGED = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)


class Connection:
    """The present producer, where there is one. `why_not` says what keeps us from having one."""

    def __init__(self, *, client_id: str, settings: KafkaSettings) -> None:
        self.producer: AIOKafkaProducer | None = None
        self.why_not: str | None = "Kafka has not been reached yet"
        self._client_id = client_id
        self._settings = settings
        self._topics: Collection[Topic] = ()
        self._connecting: asyncio.Task[None] | None = None
        self._discarding: set[asyncio.Task[None]] = set()
        self._waits: set[asyncio.Timeout] = set()
        self.failing: set[Place] = set()
        """The partitions whose last batch had no ack: another's ack says nothing about them."""
        self.down_since: float | None = None
        """When Kafka was found not to acknowledge, monotonic seconds; None once it has again."""
        self.acknowledged: dict[Place, int] = {}
        """Of each partition: the offset behind the last record that Kafka acknowledged to us."""
        self.receded_events = 0
        """Acknowledged events that Kafka no longer had when it gave their offsets out again."""

    async def connect(self, topics: Collection[Topic]) -> None:
        """Connect, and greet every broker that leads a partition of `topics`.

        Raises KafkaUnavailable when Kafka does not answer in 20 s.
        """
        self._topics = topics
        made = producer(self._settings, client_id=self._client_id, linger_ms=0)
        try:
            async with asyncio.timeout(START_SECONDS):
                await made.start()
                for topic in topics:
                    await made.partitions_for(topic.name)
                await _greet_leaders(made, topics)
            self.producer, self.why_not = made, None
        except (*SEND_ERRORS, TimeoutError) as error:
            self.why_not = f"starting: {error!r}"
            raise KafkaUnavailable(self.why_not) from error
        finally:
            if self.producer is not made:
                self._discard(made)

    def keep_connecting(self, topics: Collection[Topic]) -> None:
        """Connect in the background, as often as it takes; does not wait."""
        self._topics = topics
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect_somehow())
            self._connecting.add_done_callback(report_fault)

    async def _connect_somehow(self) -> None:
        tries = 0
        while self.producer is None:
            try:
                await self.connect(self._topics)
            except KafkaUnavailable as error:
                log.warning("producer_cannot_connect", error=error.message)
                await asyncio.sleep(backoff_seconds(tries))
                tries += 1

    async def produce(
        self, place: Place, batch: BatchBuilder, *, until: float | None = None
    ) -> int:
        """The offset of the batch's first record, once Kafka has it on all in-sync replicas.

        `until`: loop time, 18 s from now where it is None. Raises KafkaUnavailable: Kafka may have
        the batch or not.
        """
        used = self.producer
        if used is None:
            raise KafkaUnavailable(str(self.why_not))
        began = asyncio.get_running_loop().time()
        try:
            async with self._wait(began + HUNG_SECONDS if until is None else until):
                sent = await used.send_batch(batch, place[0], partition=place[1])
                metadata = await sent
        except (*SEND_ERRORS, TimeoutError, AssertionError, TypeError) as error:
            # The last two are aiokafka's way to say that the topic or partition is gone.
            self.failing.add(place)
            waited = asyncio.get_running_loop().time() - began
            self._failed(used, error, waited_seconds=waited)
            raise KafkaUnavailable(f"{place[0]}: {error!r}") from error
        self.down_since = None
        self.failing.discard(place)
        self._note_end(place, metadata.offset, batch.record_count())
        return int(metadata.offset)

    @asynccontextmanager
    async def _wait(self, until: float) -> AsyncIterator[None]:
        """A wait that ends with TimeoutError at `until`, or when all waits are ended."""
        async with asyncio.timeout_at(until) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    def end_waits(self) -> None:
        """End every wait for Kafka now: the outcomes are unknown."""
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(now)

    def _note_end(self, place: Place, offset: int, count: int) -> None:
        """Remember how far Kafka has acknowledged; one who gives an offset twice has lost events.

        Our batches of a partition go one after the other, so that their offsets only grow.
        """
        if offset < 0:
            return  # with idempotence on: it had the batch already, and no longer knows where
        known = self.acknowledged.get(place, 0)
        self.receded_events += max(0, known - offset)
        self.acknowledged[place] = offset + count

    def _failed(
        self, used: AIOKafkaProducer, error: BaseException, *, waited_seconds: float
    ) -> None:
        """Replace a producer that would only go on failing."""
        if used is not self.producer:
            return
        if isinstance(error, WEDGED):
            self._replace(type(error).__name__)
        elif isinstance(error, TimeoutError) and waited_seconds >= HUNG_SECONDS:
            self._replace("hung")
        elif _has_ended(used):
            self._replace("ended")

    def _replace(self, reason: str) -> None:
        """Throw the producer away and build a new one; whoever waits for it waits no longer."""
        log.warning("producer_rebuilt", reason=reason)
        telemetry.PRODUCER_REBUILT.labels(reason).inc()
        assert self.producer is not None
        self._discard(self.producer)
        self.producer, self.why_not = None, f"the producer is being rebuilt: {reason}"
        self.end_waits()
        self.keep_connecting(self._topics)

    def _discard(self, used: AIOKafkaProducer) -> None:
        task = asyncio.create_task(discard(used))
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)

    async def stop(self) -> None:
        """Close what is open, within a bound."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self.producer is not None:
            self._discard(self.producer)
            self.producer, self.why_not = None, "stopped"
        if self._discarding:
            await asyncio.wait(self._discarding, timeout=CLOSE_SECONDS)
        for task in self._discarding:
            task.cancel()


def report_fault(task: asyncio.Task[None]) -> None:
    """Say why a task of ours has ended by a fault; it would else be silent."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("writer_fault", exc_info=error)


def _has_ended(used: AIOKafkaProducer) -> bool:
    """Whether the producer's own task has died: it then fails every batch for ever."""
    task: asyncio.Task[None] | None = used._sender.sender_task  # noqa: SLF001
    return task is None or task.done()


async def _greet_leaders(made: AIOKafkaProducer, topics: Collection[Topic]) -> None:
    """Open the connections that batches will need.

    aiokafka connects under one lock: a broker that swallows packets would else hold up the first
    batch for every healthy one for a whole request timeout.
    """
    cluster = made.client.cluster
    leaders = {
        leader
        for topic in topics
        for number in cluster.partitions_for_topic(topic.name) or ()
        if (leader := cluster.leader_for_partition(TopicPartition(topic.name, number)))
        not in (None, -1)
    }
    for leader in sorted(leaders):
        try:
            await asyncio.wait_for(made.client.ready(leader), GREETING_SECONDS)
        except (*SEND_ERRORS, TimeoutError) as error:
            log.warning("broker_not_greeted", broker=leader, error=repr(error))
