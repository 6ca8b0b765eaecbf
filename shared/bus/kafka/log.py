"""Reads whole partitions from their beginning to given ends, in no group: what a replay reads.

No member of any group: nobody's assignment changes because of it, and no offset is committed.
"""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.bus.consumer import OffsetGone
from shared.bus.kafka.reader import KafkaUnavailable, close_reader, open_reader
from shared.bus.record import Partition, Record
from shared.settings import KafkaSettings

Answer = TypeVar("Answer")


class LogReader:
    """A reader of all of `partitions`, each up to the end that `read_to` names."""

    def __init__(
        self, *, partitions: Collection[Partition], client_id: str, settings: KafkaSettings
    ) -> None:
        self._partitions = frozenset(partitions)
        self._client_id = client_id
        self._settings = settings
        self._ends: Mapping[Partition, int] = {}
        self._next: dict[Partition, int] = {}
        self._consumer: AIOKafkaConsumer = None

    def read_to(self, ends: Mapping[Partition, int]) -> None:
        """From now on give the records below these offsets; a partition without one gives none."""
        self._ends = ends

    async def start(self) -> None:
        """Connect. Raises KafkaUnavailable when that takes over a minute."""
        self._next.clear()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap,
            group_id=None,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_uncommitted",
            request_timeout_ms=15_000,
            fetch_max_bytes=self._settings.fetch_bytes,
            max_partition_fetch_bytes=1024 * 1024,
            fetch_max_wait_ms=self._settings.batch_wait_ms,
        )
        await open_reader(self._consumer, aim="read the log")

    async def stop(self) -> None:
        """Close the connections."""
        await close_reader(self._consumer)

    async def fetch(
        self, *, max_records: int, wait_ms: int
    ) -> Mapping[Partition, Sequence[Record]]:
        """The next records below the ends; none, and at once, when all ends are reached.

        Raises OffsetGone when a place is no longer in the log, KafkaUnavailable for the rest.
        """
        left = [where for where in self._partitions if self._left(where)]
        if not left or self.unplaced():
            return {}
        self._pause_all_but(left)
        try:
            fetched = await self._consumer.getmany(
                *(TopicPartition(*where) for where in left),
                timeout_ms=wait_ms,
                max_records=max_records,
            )
        except OffsetOutOfRangeError as error:
            raise OffsetGone(str(error)) from error
        except NoOffsetForPartitionError:
            return {}
        except KafkaError as error:
            raise KafkaUnavailable(repr(error)) from error
        for where in left:
            # Not the last record's: where compaction has left holes, the next place lies behind.
            self._next[where] = await self._consumer.position(TopicPartition(*where))
        return {
            Partition(*place): below
            for place, records in fetched.items()
            if (below := self._below_end(Partition(*place), records))
        }

    def _pause_all_but(self, left: Collection[Partition]) -> None:
        """Fetch nothing for the others: what nobody takes holds up what is next for 0.2 s."""
        paused = {Partition(*place) for place in self._consumer.paused()}
        self._consumer.resume(*(TopicPartition(*where) for where in paused.intersection(left)))
        done = self._partitions.difference(left, paused)
        self._consumer.pause(*(TopicPartition(*where) for where in done))

    def _below_end(self, where: Partition, records: Sequence[Record]) -> Sequence[Record]:
        """Those of `records` that lie below the end; the others are read again when it moves on."""
        end = self._ends[where]
        below = [record for record in records if record.offset < end]
        if len(below) < len(records):
            self._consumer.seek(TopicPartition(*where), end)
            self._next[where] = end
        return below

    def assigned(self) -> frozenset[Partition]:
        """All partitions, always."""
        return self._partitions

    def unplaced(self) -> frozenset[Partition]:
        """Those that have no place since the start."""
        return self._partitions - self._next.keys()

    def place(self, positions: Mapping[Partition, int]) -> None:
        """Read from these offsets on."""
        self._next |= positions
        # Assigned only now, for a partition without a place would fail every fetch; and nothing is
        # awaited in between, so that nothing can be fetched from anywhere else.
        self._consumer.assign([TopicPartition(*where) for where in self._next])
        for where, offset in self._next.items():
            self._consumer.seek(TopicPartition(*where), offset)
        self._consumer.pause(
            *(TopicPartition(*where) for where in self._next if not self._left(where))
        )

    async def first_offsets(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The oldest offset that still stands in each partition."""
        places = [TopicPartition(*where) for where in partitions]
        found = await _asked(self._consumer.beginning_offsets(places))
        return {Partition(*place): offset for place, offset in found.items()}

    async def end_offsets(self) -> Mapping[Partition, int]:
        """The offset behind the newest record of each partition."""
        places = [TopicPartition(*where) for where in self._partitions]
        found = await _asked(self._consumer.end_offsets(places))
        return {Partition(*place): offset for place, offset in found.items()}

    async def offsets_at(self, instant: datetime) -> Mapping[Partition, int]:
        """The first offset appended at `instant` or later, of each partition that has one."""
        return {where: found.offset for where, found in (await self._found_at(instant)).items()}

    async def first_behind(self, instant: datetime) -> Mapping[Partition, datetime]:
        """When the first record at `instant` or later was appended, where there is one."""
        return {
            where: datetime.fromtimestamp(found.timestamp / 1000, UTC)
            for where, found in (await self._found_at(instant)).items()
        }

    async def _found_at(self, instant: datetime) -> Mapping[Partition, Any]:
        milliseconds = int(instant.timestamp() * 1000)
        places = {TopicPartition(*where): milliseconds for where in self._partitions}
        found = await _asked(self._consumer.offsets_for_times(places))
        return {Partition(*place): at for place, at in found.items() if at is not None}

    def is_connected(self) -> bool:
        """Whether any broker holds a connection with us."""
        connections = self._consumer._client._conns  # noqa: SLF001
        return any(connection.connected() for connection in connections.values())

    def lag(self) -> int:
        """Offsets up to the ends that were not fetched yet, holes included."""
        return self.left(self._ends)

    def left(self, ends: Mapping[Partition, int]) -> int:
        """The same up to other ends."""
        return sum(max(0, end - self._next.get(where, 0)) for where, end in ends.items())

    def _left(self, where: Partition) -> int:
        return max(0, self._ends.get(where, 0) - self._next.get(where, 0))

    async def report(self, positions: Mapping[Partition, int]) -> None:
        """Nobody to tell: a replay belongs to no group."""


async def _asked(question: Awaitable[Answer]) -> Answer:
    """What Kafka answers. Raises KafkaUnavailable when it does not."""
    try:
        return await question
    except KafkaError as error:
        raise KafkaUnavailable(repr(error)) from error
