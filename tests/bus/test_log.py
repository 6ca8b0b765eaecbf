"""Reading whole partitions to given ends, on a real Kafka."""

from collections.abc import AsyncIterator, Mapping
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shared.bus.kafka.log import LogReader
from shared.bus.kafka.topics import create
from shared.bus.record import Partition
from shared.events.base import Topic
from shared.settings import KafkaSettings
from tests.support.stack import TemporaryStack


@pytest.fixture
async def places(stack: TemporaryStack) -> tuple[Partition, Partition]:
    """Two partitions of a new topic with ten records each, named by partition and number."""
    name = f"test.{uuid4().hex[:8]}.v1"
    topic = Topic(name=name, producer="test", description="", key="any", partitions=2)
    await create(stack.kafka_bootstrap, [topic], replication_factor=1)
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap)
    await producer.start()
    try:
        for number in range(20):
            value = f"{number % 2}-{number // 2}".encode()
            await producer.send_and_wait(name, value, partition=number % 2)
    finally:
        await producer.stop()
    return Partition(name, 0), Partition(name, 1)


@pytest.fixture
async def reader(
    stack: TemporaryStack, places: tuple[Partition, Partition]
) -> AsyncIterator[LogReader]:
    settings = KafkaSettings(bootstrap=stack.kafka_bootstrap)
    made = LogReader(partitions=places, client_id="test-log", settings=settings)
    await made.start()
    yield made
    await made.stop()


async def read(reader: LogReader, *, max_records: int = 4) -> dict[Partition, list[int]]:
    """The offsets of all that it gives until its ends are reached, by partition."""
    found: dict[Partition, list[int]] = {}
    while reader.lag():
        fetched = await reader.fetch(max_records=max_records, wait_ms=200)
        for place, records in fetched.items():
            found.setdefault(place, []).extend(record.offset for record in records)
    return found


def placed(places: Mapping[Partition, int] | tuple[Partition, ...]) -> dict[Partition, int]:
    return dict.fromkeys(places, 0)


async def test_records_below_the_ends_are_given_and_no_others(
    reader: LogReader, places: tuple[Partition, Partition]
):
    first, second = places
    reader.read_to({first: 3, second: 7})
    reader.place(placed(places))

    assert await read(reader) == {first: [0, 1, 2], second: [0, 1, 2, 3, 4, 5, 6]}
    assert await reader.fetch(max_records=10, wait_ms=200) == {}


async def test_ends_that_move_on_give_the_rest_each_record_once(
    reader: LogReader, places: tuple[Partition, Partition]
):
    first, second = places
    reader.place(placed(places))
    reader.read_to({first: 3, second: 0})
    assert await read(reader) == {first: [0, 1, 2]}

    reader.read_to(await reader.end_offsets())

    assert await read(reader) == {first: [3, 4, 5, 6, 7, 8, 9], second: list(range(10))}


async def test_a_partition_that_is_placed_back_is_read_again(
    reader: LogReader, places: tuple[Partition, Partition]
):
    first, second = places
    reader.read_to({first: 5, second: 5})
    reader.place(placed(places))
    await read(reader)

    reader.place({first: 2})

    assert await read(reader) == {first: [2, 3, 4]}


async def test_no_group_is_made(
    stack: TemporaryStack, reader: LogReader, places: tuple[Partition, Partition]
):
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    await admin.start()
    try:
        before = await admin.list_consumer_groups()
        reader.read_to(await reader.end_offsets())
        reader.place(placed(places))
        await read(reader)
        await reader.report({places[0]: 5})

        assert await admin.list_consumer_groups() == before
    finally:
        await admin.close()
