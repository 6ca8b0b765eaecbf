"""Reads topics in a consumer group that only hints who reads what; our own table says from where.

What aiokafka really does, each seen against Kafka 4.1, and what follows here: records come before
the assignment callback has ended, so the callback pauses at once and awaits nothing; a pause is
lost on every rebalance, so every assigned partition is placed anew; commits may be of another
generation, so they are for lag tools only; two assignors livelock, so there is exactly one; and a
background task that meets an error it does not expect ends in silence, so we look after them.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from shared.bus.consumer import OffsetGone
from shared.bus.kafka.failures import SEND_ERRORS
from shared.bus.record import Partition, Record
from shared.errors import TransientError
from shared.settings import KafkaSettings

log = structlog.get_logger()

START_SECONDS = 60.0  # a missing topic or a stuck group would block the start for ever
STOP_SECONDS = 5.0
ASSIGNMENT_SECONDS = 5.0  # beyond its own wait, that a fetch waits for the group
DAY_MS = 24 * 3600 * 1000


class KafkaUnavailable(TransientError):
    """Kafka does not answer."""

    code = "kafka_unavailable"


class KafkaReader:
    """One member of one group. Heartbeats run beside; every wait here is bounded."""

    def __init__(
        self, *, group: str, topics: Sequence[str], client_id: str, settings: KafkaSettings
    ) -> None:
        self._group = group
        self._client_id = client_id
        self._settings = settings
        self._topics = list(topics)
        self._placed: set[Partition] = set()
        self._consumer: AIOKafkaConsumer = None

    def _new_consumer(self) -> AIOKafkaConsumer:
        settings = self._settings
        return AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            group_id=self._group,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(RangePartitionAssignor,),
            isolation_level="read_uncommitted",
            # heartbeat < rebalance < request < session: a join never outlasts its own request.
            # Behind a frozen broker aiokafka waits several requests in a row (for the fetch, for
            # a new connection, for metadata, for the coordinator): with 15 s each a lane stood
            # still for over a minute.
            heartbeat_interval_ms=2_000,
            rebalance_timeout_ms=5_000,
            request_timeout_ms=8_000,
            session_timeout_ms=20_000,
            # Our own watchdog looks at progress; a lane that waits for another may poll rarely.
            max_poll_interval_ms=DAY_MS,
            fetch_max_bytes=settings.fetch_bytes,
            max_partition_fetch_bytes=1024 * 1024,
            fetch_max_wait_ms=settings.batch_wait_ms,
        )

    async def start(self) -> None:
        """Join the group as a new member. Raises KafkaUnavailable when that takes over a minute."""
        self._placed.clear()
        self._consumer = self._new_consumer()
        self._consumer.subscribe(self._topics, listener=_PauseFirst(self._consumer, self._placed))
        await open_reader(self._consumer, aim=f"join {self._topics}")

    async def stop(self) -> None:
        """Leave the group."""
        await close_reader(self._consumer)

    async def fetch(
        self, *, max_records: int, wait_ms: int
    ) -> Mapping[Partition, Sequence[Record]]:
        """The next records of each placed partition; none while the group is being assigned anew.

        Raises OffsetGone when our offset is no longer in the log, KafkaUnavailable for the rest.
        """
        self._look_after_tasks()
        try:
            async with asyncio.timeout(wait_ms / 1000 + ASSIGNMENT_SECONDS):
                fetched = await self._consumer.getmany(timeout_ms=wait_ms, max_records=max_records)
        except TimeoutError:
            return {}  # its wait for an assignment has no bound of its own
        except OffsetOutOfRangeError as error:
            raise OffsetGone(str(error)) from error
        except NoOffsetForPartitionError:
            return {}  # assigned this moment and not placed yet
        except KafkaError as error:
            raise KafkaUnavailable(repr(error)) from error
        return {_partition(place): records for place, records in fetched.items()}

    def _look_after_tasks(self) -> None:
        """Raise KafkaUnavailable where a background task of the client has ended.

        One of `SEND_ERRORS` that the client does not expect ends its fetching for good, while
        heartbeats go on: nothing would ever be read.
        """
        consumer = self._consumer
        tasks = (consumer._fetcher._fetch_task, consumer._coordinator._coordination_task)  # noqa: SLF001
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise KafkaUnavailable(f"reading has ended: {error.__cause__ or error!r}")

    def assigned(self) -> frozenset[Partition]:
        """The partitions of the current generation."""
        return frozenset(map(_partition, self._consumer.assignment()))

    def unplaced(self) -> frozenset[Partition]:
        """Assigned, and paused until `place` says from where to read."""
        return self.assigned() - self._placed

    async def first_offsets(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The oldest offset that still stands in each partition."""
        try:
            offsets = await self._consumer.beginning_offsets(list(map(_place, partitions)))
        except SEND_ERRORS as error:
            raise KafkaUnavailable(repr(error)) from error
        return {_partition(place): offset for place, offset in offsets.items()}

    def place(self, positions: Mapping[Partition, int]) -> None:
        """Read from these offsets on. A partition lost meanwhile is left alone."""
        for partition, offset in positions.items():
            try:
                self._consumer.seek(_place(partition), offset)
                self._consumer.resume(_place(partition))
            except IllegalStateError:
                continue
            self._placed.add(partition)

    def is_connected(self) -> bool:
        """Whether any broker holds a connection with us; the client itself waits silently."""
        connections = self._consumer._client._conns  # noqa: SLF001
        return any(connection.connected() for connection in connections.values())

    def lag(self) -> int:
        """Records known to stand beyond our position, over all assigned partitions."""
        behind = 0
        for place in self._consumer.assignment():
            end = self._consumer.highwater(place)
            if end is not None and _partition(place) in self._placed:
                behind += max(0, end - self._next_offset(place, end))
        return behind

    def _next_offset(self, place: TopicPartition, end: int) -> int:
        state = self._consumer._subscription.subscription.assignment.state_value(place)  # noqa: SLF001
        return state.position if state is not None and state.has_valid_position else end

    async def report(self, positions: Mapping[Partition, int]) -> None:
        """Commit to the group for lag tools. A failure costs nothing and is not retried."""
        if not positions:
            return  # a fenced batch leaves none, and to commit none is an error to the client
        try:
            await asyncio.wait_for(
                self._consumer.commit({_place(p): offset for p, offset in positions.items()}), 1.0
            )
        except (*SEND_ERRORS, IllegalStateError, TimeoutError) as error:
            log.debug("report_failed", error=repr(error))


async def open_reader(consumer: AIOKafkaConsumer, *, aim: str) -> None:
    """Start a consumer. Raises KafkaUnavailable, naming the aim, when that takes over a minute."""
    try:
        await asyncio.wait_for(consumer.start(), START_SECONDS)
    except (*SEND_ERRORS, TimeoutError) as error:
        await close_reader(consumer)
        raise KafkaUnavailable(f"cannot {aim}: {error!r}") from error


async def close_reader(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer within a bound: with Kafka away, its own stop may wait for ever."""
    try:
        await asyncio.wait_for(consumer.stop(), STOP_SECONDS)
    except (*SEND_ERRORS, TimeoutError) as error:
        log.warning("reader_stop_unclean", error=repr(error))
        with suppress(*SEND_ERRORS, TimeoutError):
            # Its stop gives up at the first error, and leaves the connections open.
            await asyncio.wait_for(consumer._client.close(), STOP_SECONDS)  # noqa: SLF001


class _PauseFirst(ConsumerRebalanceListener):  # type: ignore[misc]
    """Pauses whatever is assigned, before anything else can happen; awaits nothing."""

    def __init__(self, consumer: AIOKafkaConsumer, placed: set[Partition]) -> None:
        self._consumer = consumer
        self._placed = placed

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._placed.clear()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self._placed.clear()


def _partition(place: TopicPartition) -> Partition:
    return Partition(place.topic, place.partition)


def _place(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)
