"""Publishes for the edge: batches shared by all requests, one future per flush.

A future per event is what costs in aiokafka (10 us of bookkeeping); one per flush of a partition
costs next to nothing. A request appends its events and awaits the flushes it has touched.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection

from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.kafka.writer import START_SECONDS, producer
from shared.bus.record import HEADERS
from shared.events.base import Topic
from shared.settings import KafkaSettings

FLUSH_SECONDS = 0.005
KEY_CACHE = 100_000  # keys whose partition is remembered: murmur2 in Python costs 12 us a key


class Flush:
    """One batch of one partition on its way to Kafka.

    `acked` ends with the offset of its first record, or with KafkaUnavailable.
    """

    __slots__ = ("acked", "builder", "bytes", "number", "topic")

    def __init__(self, topic: Topic, number: int, builder: BatchBuilder) -> None:
        self.topic = topic
        self.number = number
        self.builder = builder
        self.bytes = 0
        self.acked: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def place(self) -> tuple[str, int]:
        """Topic and partition."""
        return self.topic.name, self.number


class BatchWriter:
    """The edge's way to Kafka."""

    def __init__(self, *, client_id: str, settings: KafkaSettings) -> None:
        self._producer = producer(settings, client_id=client_id, linger_ms=0)
        self._open: dict[tuple[str, int], Flush] = {}
        # Of every partition that has a batch on its way: the full ones that wait behind it.
        self._behind: dict[tuple[str, int], deque[Flush]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._partitions: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.inflight_bytes = 0
        """Bytes appended and not acknowledged yet: the caller keeps them within a budget."""

    async def start(self, topics: Collection[Topic]) -> None:
        """Connect, and learn where the partitions of `topics` are.

        Raises KafkaUnavailable when Kafka does not answer in 20 s.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._producer.start()
                for topic in topics:
                    await self._producer.partitions_for(topic.name)
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnavailable(f"starting: {error!r}") from error

    async def stop(self) -> None:
        """Send what is open, await what is sent (8 s at most by the request timeout), close."""
        self._send_open()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await asyncio.wait_for(self._producer.stop(), START_SECONDS)

    def append(
        self, topic: Topic, key: str, value: bytes, headers: list[tuple[str, bytes]] = HEADERS
    ) -> tuple[Flush, int]:
        """Put one record into the open batch of its partition.

        Answers the flush it goes with and its place in it: its offset is the flush's first offset
        plus that place.
        """
        number = self._partition(topic, key)
        flush = self._open.get((topic.name, number)) or self._opened(topic, number)
        key_bytes = key.encode()
        metadata = flush.builder.append(timestamp=None, key=key_bytes, value=value, headers=headers)
        if metadata is None:  # full: send it and begin the next
            self._send(flush)
            flush = self._opened(topic, number)
            metadata = flush.builder.append(
                timestamp=None, key=key_bytes, value=value, headers=headers
            )
        flush.bytes += len(value)
        self.inflight_bytes += len(value)
        return flush, metadata.offset

    def _partition(self, topic: Topic, key: str) -> int:
        """Kafka's default partitioner, remembered per key."""
        known = self._partitions.get((topic.name, key))
        if known is None:
            known = (murmur2(key.encode()) & 0x7FFFFFFF) % topic.partitions
            self._partitions[topic.name, key] = known
            if len(self._partitions) > KEY_CACHE:
                self._partitions.popitem(last=False)
        return known

    def _opened(self, topic: Topic, number: int) -> Flush:
        flush = Flush(topic, number, self._producer.create_batch())
        self._open[topic.name, number] = flush
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(FLUSH_SECONDS, self._send_open)
        return flush

    def _send_open(self) -> None:
        """Send every open batch whose partition is idle; the others go when theirs is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for flush in list(self._open.values()):
            if flush.place not in self._behind:
                self._send(flush)

    def _send(self, flush: Flush) -> None:
        """Send `flush`, or put it in line behind the one on its way.

        One at a time per partition, as aiokafka itself sends: it neither keeps the order of those
        who wait for a place in its queue nor lets them wait as long as they may.
        """
        self._open.pop(flush.place, None)
        behind = self._behind.get(flush.place)
        if behind is not None:
            behind.append(flush)
            return
        self._behind[flush.place] = deque([flush])
        task = asyncio.create_task(self._deliver_all(flush.place))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver_all(self, place: tuple[str, int]) -> None:
        """Deliver what is in line for one partition, and what has gathered there meanwhile.

        When one fails, so do all behind it: their outcome is as unknown, and waiting for each in
        turn would hold memory for minutes.
        """
        line = self._behind[place]
        failure: KafkaUnavailable | None = None
        while line:
            flush = line.popleft()
            if failure is None:
                failure = await self._deliver(flush)
            else:
                self._fail(flush, failure)
            if not line and (opened := self._open.pop(place, None)) is not None:
                line.append(opened)
        del self._behind[place]

    async def _deliver(self, flush: Flush) -> KafkaUnavailable | None:
        """Hand the batch to Kafka and tell everyone who waits for it; the failure, if any."""
        try:
            sent = await self._producer.send_batch(
                flush.builder, flush.topic.name, partition=flush.number
            )
            metadata = await sent
        except (KafkaError, OSError, TimeoutError) as error:
            failure = KafkaUnavailable(f"{flush.topic.name}: {error!r}")
            self._fail(flush, failure)
            return failure
        if not flush.acked.done():
            flush.acked.set_result(metadata.offset)
        self.inflight_bytes -= flush.bytes
        return None

    def _fail(self, flush: Flush, failure: KafkaUnavailable) -> None:
        if not flush.acked.done():
            flush.acked.set_exception(failure)
            flush.acked.exception()  # whoever still waits sees it; nobody waiting is no fault
        self.inflight_bytes -= flush.bytes
