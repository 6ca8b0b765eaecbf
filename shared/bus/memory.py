"""A log in memory, for property tests of the road only. Nothing runs on it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from shared.bus.record import HEADERS, Partition, Record


@dataclass(frozen=True)
class MemoryRecord:
    """A record of the log in memory."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = tuple(HEADERS)


@dataclass
class MemoryLog:
    """Partitions that only grow, as Kafka's do."""

    partitions: dict[Partition, list[MemoryRecord]] = field(default_factory=dict)

    def append(
        self, partition: Partition, *, key: bytes | None, value: bytes | None, timestamp_ms: int
    ) -> int:
        """Append a record; its offset."""
        log = self.partitions.setdefault(partition, [])
        log.append(
            MemoryRecord(partition.topic, partition.number, len(log), timestamp_ms, key, value)
        )
        return len(log) - 1


class MemoryReader:
    """Reads a MemoryLog as a Kafka reader would: placed by us, redelivering when placed back."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._next: dict[Partition, int] = {}

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to leave."""

    async def fetch(
        self, *, max_records: int, wait_ms: int
    ) -> Mapping[Partition, Sequence[Record]]:
        """The next records, `max_records` in all; never waits."""
        fetched: dict[Partition, Sequence[Record]] = {}
        room = max_records
        for partition, position in self._next.items():
            records = self._log.partitions[partition][position : position + room]
            if records:
                fetched[partition] = records
                self._next[partition] = position + len(records)
                room -= len(records)
        return fetched

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._log.partitions)

    def unplaced(self) -> frozenset[Partition]:
        return self.assigned() - self._next.keys()

    async def first_offsets(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return dict.fromkeys(partitions, 0)

    def place(self, positions: Mapping[Partition, int]) -> None:
        self._next |= positions

    def is_connected(self) -> bool:
        return True

    def lag(self) -> int:
        return sum(len(self._log.partitions[p]) - position for p, position in self._next.items())

    async def report(self, positions: Mapping[Partition, int]) -> None:
        """Nobody to tell."""
