"""The edge's batches: in order per partition, acknowledged all or known to be unknown."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.bus.kafka.batches import BatchWriter
from shared.bus.kafka.reader import KafkaUnavailable
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings
from tests.bus.conftest import wire
from tests.support.stack import TemporaryStack
from tests.support.topics import read_topic

KEY = "batches/acme"


@pytest.fixture
async def writer(stack: TemporaryStack) -> AsyncIterator[BatchWriter]:
    writer = BatchWriter(client_id="test", settings=KafkaSettings(bootstrap=stack.kafka_bootstrap))
    await writer.start([USAGE])
    yield writer
    await writer.stop()


@dataclass
class Fate:
    """What the way to Kafka does to each batch, one after the other."""

    failing: Iterator[bool]
    together: int = 0
    most_together: int = 0
    sent: list[int] = field(default_factory=list)

    def of(self, writer: BatchWriter) -> None:
        """Stand in the way of this writer's batches."""
        producer = writer._connection.producer
        assert producer is not None
        send = producer.send_batch

        async def send_batch(batch: BatchBuilder, topic: str, *, partition: int) -> Any:
            self.together += 1
            self.most_together = max(self.most_together, self.together)
            await asyncio.sleep(0.01)
            self.together -= 1
            self.sent.append(batch.record_count())
            if next(self.failing, False):
                raise KafkaTimeoutError
            return await send(batch, topic, partition=partition)

        producer.send_batch = send_batch


async def test_batches_of_a_partition_go_one_after_the_other_and_keep_their_order(
    stack: TemporaryStack, writer: BatchWriter
):
    fate = Fate(failing=iter(()))
    fate.of(writer)
    filler = "x" * 5_000
    acks = []
    for number in range(400):  # 2 MB for one partition: several full batches while one is away
        value = wire(f"default {number:03}", workspace="batches", event=filler)
        acks.append(writer.append(USAGE, KEY, value)[0].acked)

    await asyncio.gather(*set(acks))

    standing = [
        event["id"]
        for event in await read_topic(stack.kafka_bootstrap, USAGE.name)
        if event["workspace"] == "batches"
    ]
    assert standing == [f"default {number:03}" for number in range(400)]
    assert len(fate.sent) > 1
    assert fate.most_together == 1


async def test_what_waits_behind_a_failed_batch_fails_with_it_and_later_ones_go_on(
    writer: BatchWriter,
):
    Fate(failing=iter([True])).of(writer)
    filler = "x" * 5_000
    first = [
        writer.append(USAGE, KEY, wire(f"default f{n}", workspace="behind", event=filler))[0]
        for n in range(200)
    ]

    failed = await asyncio.gather(*{flush.acked for flush in first}, return_exceptions=True)
    later, _ = writer.append(USAGE, KEY, wire("default later", workspace="behind"))
    await later.acked

    assert len(failed) > 1
    assert all(isinstance(failure, KafkaUnavailable) for failure in failed)
    assert writer.inflight_bytes == 0


async def test_the_place_in_a_flush_tells_the_offset(writer: BatchWriter):
    handed = [
        writer.append(USAGE, KEY, wire(f"default o{number}", workspace="offsets"))
        for number in range(5)
    ]

    offsets = [await flush.acked + place for flush, place in handed]

    assert offsets == list(range(offsets[0], offsets[0] + 5))
