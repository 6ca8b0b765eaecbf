"""Topics as any Kafka tool sees them: ends, leaders, and whole records. Shares no product code."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

FETCH_MS = 300


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class RawRecord(NamedTuple):
    """One record, its bytes untouched."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def _consumer(bootstrap: str) -> Any:
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=5_000,
        fetch_max_wait_ms=FETCH_MS,
    )


async def log_ends(bootstrap: str, places: Collection[Place]) -> dict[Place, int]:
    """The next offset of each partition."""
    async with _consumer(bootstrap) as consumer:
        ends = await consumer.end_offsets([TopicPartition(*place) for place in places])
    return {Place(place.topic, place.partition): end for place, end in ends.items()}


async def log_begins(bootstrap: str, topics: Collection[str]) -> dict[Place, int]:
    """The oldest offset that still stands in every partition of these topics."""
    places = await topic_ends(bootstrap, topics)
    async with _consumer(bootstrap) as consumer:
        begins = await consumer.beginning_offsets([TopicPartition(*place) for place in places])
    return {Place(place.topic, place.partition): begin for place, begin in begins.items()}


async def topic_ends(bootstrap: str, topics: Collection[str]) -> dict[Place, int]:
    """The next offset of every partition of these topics."""
    found = [
        Place(topic, number)
        for topic, leaders in (await leaders_of(bootstrap, topics)).items()
        for number in leaders
    ]
    return await log_ends(bootstrap, found)


async def read_between(
    bootstrap: str, begins: Mapping[Place, int], ends: Mapping[Place, int]
) -> list[RawRecord]:
    """Every record from `begins` up to `ends`, in offset order within each partition."""
    wanted = {place: end for place, end in ends.items() if begins.get(place, 0) < end}
    if not wanted:
        return []
    found: list[RawRecord] = []
    async with _consumer(bootstrap) as consumer:
        consumer.assign([TopicPartition(*place) for place in wanted])
        for place in wanted:
            consumer.seek(TopicPartition(*place), begins.get(place, 0))
        while not await _is_read(consumer, wanted):
            for records in (await consumer.getmany(timeout_ms=FETCH_MS)).values():
                found += [
                    RawRecord(r.topic, r.partition, r.offset, r.key, r.value) for r in records
                ]
    return [one for one in found if one.offset < wanted[Place(one.topic, one.partition)]]


async def read_some(bootstrap: str, begins: Mapping[Place, int], *, seconds: float) -> int:
    """How many records behind `begins` can be read in so many seconds.

    Where fewer replicas than min.insync.replicas are left, a leader tells no log end, but reads.
    """
    found = 0
    async with _consumer(bootstrap) as consumer:
        consumer.assign([TopicPartition(*place) for place in begins])
        for place, begin in begins.items():
            consumer.seek(TopicPartition(*place), begin)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    fetched = await consumer.getmany(timeout_ms=FETCH_MS)
                    found += sum(map(len, fetched.values()))
    return found


async def _is_read(consumer: Any, ends: Mapping[Place, int]) -> bool:
    positions = [(await consumer.position(TopicPartition(*p)), end) for p, end in ends.items()]
    return all(position >= end for position, end in positions)


async def leaders_of(bootstrap: str, topics: Iterable[str]) -> dict[str, dict[int, int]]:
    """Topic to partition number to the id of the broker that leads it; -1 where none does."""
    return {
        topic["topic"]: {one["partition"]: one["leader"] for one in topic["partitions"]}
        for topic in await _described(bootstrap, topics)
    }


async def fewest_in_sync(bootstrap: str, topics: Iterable[str]) -> int:
    """The in-sync replicas of the partition that has fewest of them."""
    described = await _described(bootstrap, topics)
    return min(len(one["isr"]) for topic in described for one in topic["partitions"])


async def _described(bootstrap: str, topics: Iterable[str]) -> list[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
    await admin.start()
    try:
        return list(await admin.describe_topics(list(topics)))
    finally:
        await admin.close()
