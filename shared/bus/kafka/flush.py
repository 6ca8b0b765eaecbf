"""Batches of one partition, with their records: what Kafka does not take goes to the spill."""

import asyncio
from collections.abc import Iterable

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from shared.bus.kafka.writer import BATCH_BYTES
from shared.bus.spill import Kept, Place
from shared.events.base import Topic

SPILLED = -1
"""In place of an offset: the flush stands in the spill."""


class Flush:
    """One batch of one partition on its way.

    `acked` ends with the offset of its first record, with SPILLED, or with KafkaUnavailable.
    """

    __slots__ = ("acked", "builder", "bytes", "number", "opened_at", "records", "topic")

    def __init__(self, topic: Topic, number: int) -> None:
        loop = asyncio.get_running_loop()
        self.topic = topic
        self.number = number
        self.builder = new_batch()
        self.records: list[Kept] = []
        self.bytes = 0
        self.opened_at = loop.time()
        self.acked: asyncio.Future[int] = loop.create_future()

    @property
    def place(self) -> Place:
        """Topic and partition."""
        return self.topic.name, self.number


def new_batch() -> BatchBuilder:
    """An empty batch; it belongs to no producer, so that it can be filled while there is none."""
    return BatchBuilder(BATCH_BYTES, DefaultRecordBatch.CODEC_ZSTD)


def filled(records: Iterable[Kept]) -> tuple[BatchBuilder, int]:
    """A batch with as many of the first `records` as fit, and how many these are."""
    batch, count = new_batch(), 0
    for key, value, headers in records:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            break
        count += 1
    return batch, count
