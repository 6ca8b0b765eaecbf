"""Publishes for the edge: batches shared by all requests, one future per flush.

A future per event is what costs in aiokafka (10 us of bookkeeping); one per flush of a partition
costs next to nothing. A request appends its events and awaits the flushes it has touched.

What Kafka does not acknowledge in time goes to the spill, where there is one, and is drained from
there. Order per key holds because a partition has one way at a time: while anything of it stands
in the spill, all that comes later joins the spill's end.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from time import monotonic

from aiokafka.partitioner import murmur2

from shared.bus.kafka.connection import Connection, report_fault
from shared.bus.kafka.drains import Drains
from shared.bus.kafka.flush import SPILLED, Flush
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.record import HEADERS
from shared.bus.spill import Place, Spill, SpillRefused
from shared.events.base import Topic
from shared.settings import KafkaSettings

FLUSH_SECONDS = 0.005
KEY_CACHE = 100_000  # keys whose partition is remembered: murmur2 in Python costs 12 us a key
ACK_SECONDS = 5.0
ACK_SECONDS_WITHOUT_SPILL = 1.5
SPILL_SECONDS = 1.5  # a disk that needs longer for one group of appends counts as failing
CANARY_SECONDS = 2.0  # how often Kafka is tried while it is down and no drain tries it
STOP_SECONDS = 4.0  # what may still be acknowledged at a stop, before it is spilled or given up


class BatchWriter:
    """The edge's way to Kafka, or to the spill."""

    def __init__(
        self,
        *,
        client_id: str,
        settings: KafkaSettings,
        spill: Spill | None = None,
        ack_seconds: float = ACK_SECONDS,
        ack_seconds_without_spill: float = ACK_SECONDS_WITHOUT_SPILL,
    ) -> None:
        self._connection = Connection(client_id=client_id, settings=settings)
        self._drains = Drains(spill, self._connection) if spill is not None else None
        self._ack_seconds = ack_seconds
        self._ack_seconds_without_spill = ack_seconds_without_spill
        self._open: dict[Place, Flush] = {}
        # Of every partition that has a batch on its way: the full ones that wait behind it.
        self._behind: dict[Place, deque[Flush]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._partitions: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._failure = ""
        self.inflight_bytes = 0
        """Bytes appended and not settled yet: the caller keeps them within a budget."""

    async def start(self, topics: Collection[Topic]) -> None:
        """Connect, and learn where the partitions of `topics` are.

        Raises KafkaUnavailable when Kafka does not answer in 20 s.
        """
        await self._connection.connect(topics)
        if self._drains is not None:
            self._drains.start_all()

    def start_connecting(self, topics: Collection[Topic]) -> None:
        """Connect in the background, and drain what an earlier life has left; does not wait."""
        self._connection.keep_connecting(topics)
        if self._drains is not None:
            self._drains.start_all()

    async def stop(self) -> None:
        """Send what is open, await what is sent; what is not acknowledged in time is spilled."""
        self._send_open()
        if self._drains is not None:
            self._drains.cancel()
        for seconds in (STOP_SECONDS, SPILL_SECONDS):
            if self._working:
                await asyncio.wait(self._working, timeout=seconds)
            self._connection.end_waits()
        if self._drains is not None:
            await self._drains.wait_ended(SPILL_SECONDS)
        await self._connection.stop()

    def why_not(self) -> str | None:
        """What keeps events from Kafka now; None while it acknowledges."""
        if self._connection.why_not is not None:
            return self._connection.why_not
        return None if self._connection.down_since is None else self._failure

    @property
    def acknowledged(self) -> Mapping[Place, int]:
        """Of each partition: the offset behind the last record that Kafka acknowledged to us."""
        return self._connection.acknowledged

    @property
    def receded_events(self) -> int:
        """Acknowledged events that Kafka no longer had when it gave their offsets out again."""
        return self._connection.receded_events

    @property
    def is_connected(self) -> bool:
        """Whether there is a producer; it may fail all the same."""
        return self._connection.producer is not None

    # --- appending ---

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
        flush.records.append((key_bytes, value, headers))
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
        flush = Flush(topic, number)
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
        task = asyncio.create_task(self._settle_all(flush.place))
        self._working.add(task)
        task.add_done_callback(self._has_settled)

    # --- settling ---

    def _has_settled(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        report_fault(task)

    async def _settle_all(self, place: Place) -> None:
        """Settle what is in line for one partition, and what has gathered there meanwhile."""
        line = self._behind[place]
        try:
            while line:
                await self._settle_some(place, line)
                if not line and (opened := self._open.pop(place, None)) is not None:
                    line.append(opened)
        finally:  # whatever happens: nobody waits for ever, and the partition goes on
            del self._behind[place]
            self._fail_all(line, KafkaUnavailable("the writer has failed"))
            if (opened := self._open.get(place)) is not None:  # its timer has passed it by
                self._send(opened)

    async def _settle_some(self, place: Place, line: deque[Flush]) -> None:
        """Settle at least the first in line, the way that the partition has now."""
        drains = self._drains
        if drains is None:
            await self._deliver_or_fail(line)
        elif drains.spill.pending(place) or self._is_down(drains.spill):
            await self._join_spill(drains, place, line)
        else:
            await self._deliver_or_spill(drains, line)

    async def _deliver_or_fail(self, line: deque[Flush]) -> None:
        """The first in line to Kafka. When it fails, so do all behind it.

        Their outcome is as unknown, and waiting for each in turn would hold memory for minutes.
        """
        failure = await self._deliver(line[0])
        if failure is None:
            line.popleft()
            return
        if (opened := self._open.pop(line[0].place, None)) is not None:
            line.append(opened)
        self._fail_all(line, failure)

    async def _deliver_or_spill(self, drains: Drains, line: deque[Flush]) -> None:
        """The first in line to Kafka; when that is not acknowledged in time, all to the spill.

        Kafka may still get it from the producer: the repeat from the spill has the same id.
        """
        has_room = drains.spill.why_not() is None
        patience = self._ack_seconds if has_room else self._ack_seconds_without_spill
        if await self._deliver(line[0], until=line[0].opened_at + patience) is None:
            line.popleft()
        else:
            await self._spill_all(drains, line)

    async def _join_spill(self, drains: Drains, place: Place, line: deque[Flush]) -> None:
        """All in line to the spill; but where the spill will be empty in a moment, wait for that.

        Else a steady stream would keep the partition on its way over the disk for ever.
        """
        connection = self._connection
        outcome = drains.last_batches.get(place)
        if outcome is None or connection.down_since is not None or place in connection.failing:
            await self._spill_all(drains, line)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(line[0].opened_at + self._ack_seconds):
                await outcome.wait()
                return
        connection.failing.add(place)
        self._note_down("the spill's last batch is not acknowledged in time")
        await self._spill_all(drains, line)

    async def _deliver(
        self, flush: Flush, *, until: float | None = None
    ) -> KafkaUnavailable | None:
        """Hand the batch to Kafka and tell everyone who waits for it; the failure, if any."""
        try:
            offset = await self._connection.produce(flush.place, flush.builder, until=until)
        except KafkaUnavailable as failure:
            self._note_down(failure.message)
            return failure
        self._settle(flush, offset)
        return None

    def _note_down(self, reason: str) -> None:
        """Remember that Kafka does not acknowledge, until it does again."""
        self._connection.down_since, self._failure = monotonic(), reason

    async def _spill_all(self, drains: Drains, line: deque[Flush]) -> None:
        """All in line to the end of the spill, and those who wait for them are told."""
        flushes = deque(line)
        line.clear()
        place = flushes[0].place
        try:
            async with asyncio.timeout(SPILL_SECONDS):
                await drains.spill.append(
                    place, [record for flush in flushes for record in flush.records]
                )
        except (SpillRefused, TimeoutError) as error:
            reason = f"{self.why_not()}; and the spill: {str(error) or 'its disk is too slow'}"
            self._fail_all(flushes, KafkaUnavailable(reason))
        except BaseException:  # our fault: nobody waits for ever all the same
            self._fail_all(flushes, KafkaUnavailable("the writer has failed"))
            raise
        else:
            for flush in flushes:
                self._settle(flush, SPILLED)
        drains.start(place)

    def _settle(self, flush: Flush, offset: int) -> None:
        if not flush.acked.done():
            flush.acked.set_result(offset)
        self._let_go(flush)

    def _fail_all(self, line: deque[Flush], failure: KafkaUnavailable) -> None:
        """Tell everyone who waits for a flush in line that its outcome is unknown."""
        while line:
            flush = line.popleft()
            if not flush.acked.done():
                flush.acked.set_exception(failure)
                flush.acked.exception()  # whoever still waits sees it; nobody waiting is no fault
            self._let_go(flush)

    def _let_go(self, flush: Flush) -> None:
        flush.records.clear()
        self.inflight_bytes -= flush.bytes

    def _is_down(self, spill: Spill) -> bool:
        """Whether Kafka is known not to acknowledge: then nobody waits to learn it again.

        The drains are what tries it; where nothing is to be drained, a batch now and then does.
        """
        if self._connection.producer is None:
            return True
        down_since = self._connection.down_since
        if down_since is None:
            return False
        return bool(spill.places()) or monotonic() - down_since < CANARY_SECONDS
