"""A fault of ours in the edge's writer: whoever waits is told, and the partition goes on."""

import asyncio
from collections.abc import Collection, Sequence

import pytest

from shared.bus.kafka.batches import BatchWriter
from shared.bus.kafka.flush import SPILLED
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.spill import Kept, Place
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings


class FaultyOnce:
    """A spill whose first append fails as only a bug does, after others have come."""

    def __init__(self) -> None:
        self.appends = 0

    async def append(self, _place: Place, _records: Sequence[Kept]) -> None:
        self.appends += 1
        await asyncio.sleep(0.05)
        if self.appends == 1:
            raise LookupError("a bug")

    def pending(self, _place: Place) -> int:
        return 0

    def places(self) -> Collection[Place]:
        return ()

    async def read(self, _place: Place, *, max_bytes: int) -> Sequence[Kept]:
        return ()

    async def drop(self, _place: Place, _count: int) -> None:
        pass

    def why_not(self) -> str | None:
        return None


def test_a_bug_in_one_append_is_told_and_the_next_flush_of_the_partition_stands():
    async def course() -> tuple[int, int]:
        settings = KafkaSettings(bootstrap="nowhere:9092")
        writer = BatchWriter(client_id="edge", settings=settings, spill=FaultyOnce())
        first, _ = writer.append(USAGE, "w/a", b"first")
        await asyncio.sleep(0.02)  # it is on its way
        second, _ = writer.append(USAGE, "w/a", b"second")
        with pytest.raises(KafkaUnavailable, match="has failed"):
            await asyncio.wait_for(first.acked, 1)
        return await asyncio.wait_for(second.acked, 1), writer.inflight_bytes

    outcome, inflight_bytes = asyncio.run(course())

    assert outcome == SPILLED
    assert inflight_bytes == 0
