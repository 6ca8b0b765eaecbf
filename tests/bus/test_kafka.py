"""The runtime against a real Kafka: from the edge's batches to the relay's acknowledgement."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import text

from shared.bus.consumer import Consumer
from shared.bus.kafka import reader as reading
from shared.bus.kafka.batches import BatchWriter
from shared.bus.kafka.reader import KafkaReader, KafkaUnavailable
from shared.bus.kafka.topics import create
from shared.bus.kafka.writer import KafkaWriter
from shared.bus.relay import Relay
from shared.bus.tables import OutboxRow
from shared.db import Database, rows
from shared.events import TOPICS
from shared.events.ingest import USAGE
from shared.events.runtime import RUNTIME_TOPICS
from shared.settings import KafkaSettings
from tests.bus.conftest import Toy, seen, toy_consumer, wire
from tests.support.stack import TemporaryStack
from tests.support.topics import read_topic


@pytest.fixture
def settings(stack: TemporaryStack) -> KafkaSettings:
    return KafkaSettings(bootstrap=stack.kafka_bootstrap)


@asynccontextmanager
async def edge(settings: KafkaSettings) -> AsyncIterator[BatchWriter]:
    writer = BatchWriter(client_id="test", settings=settings)
    await writer.start([USAGE])
    try:
        yield writer
    finally:
        await writer.stop()


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    task = asyncio.create_task(consumer.run(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], Any], *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


def reader(settings: KafkaSettings, group: str) -> KafkaReader:
    return KafkaReader(group=group, topics=[USAGE.name], client_id="test", settings=settings)


async def publish(settings: KafkaSettings, workspace: str, count: int) -> None:
    """`count` events of ten accounts of a workspace, acknowledged."""
    async with edge(settings) as writer:
        flushes = set()
        for n in range(count):
            account = f"a{n % 10}"
            value = wire(f"default {n}", account=account, workspace=workspace)
            flush, _ = writer.append(USAGE, f"{workspace}/{account}", value)
            flushes.add(flush)
        await asyncio.gather(*(flush.acked for flush in flushes))
        assert writer.inflight_bytes == 0


async def test_a_lane_whose_fetching_ended_in_silence_reads_on_with_a_new_reader(
    database: Database, settings: KafkaSettings
):
    held = reader(settings, "metrics.silent")
    consumer = toy_consumer(database, Toy(), held, settings=settings)

    async def is_placed() -> bool:
        return held._consumer is not None and bool(held._placed)

    async def applied() -> bool:
        return len([row for row in await seen(database) if row[0] == "silent"]) == 8

    async with running(consumer):
        await until(is_placed)
        broken = held._consumer
        broken._client.send = _closed_transport
        await asyncio.wait([broken._fetcher._fetch_task], timeout=30)
        await publish(settings, "silent", 8)
        await until(applied)

    assert broken._fetcher._fetch_task.exception() is not None
    assert held._consumer is not broken


async def _closed_transport(*_: Any, **__: Any) -> None:
    raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")


async def test_a_fetch_waits_for_the_group_within_a_bound(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading, "ASSIGNMENT_SECONDS", 0.5)
    held = reader(settings, "metrics.reassigned")
    await held.start()

    held._consumer._subscription.begin_reassignment()
    async with asyncio.timeout(10):
        fetched = await held.fetch(max_records=10, wait_ms=100)

    assert fetched == {}
    await held.stop()


async def test_an_acknowledged_event_is_applied_once_and_its_progress_is_published(
    database: Database, settings: KafkaSettings
):
    await publish(settings, "road", 500)
    consumer = toy_consumer(database, Toy(), reader(settings, "metrics.road"), settings=settings)
    writer = KafkaWriter(client_id="relay", settings=settings)
    relay = Relay(service="metrics", database=database, writer=writer, holder="one")
    stopping = asyncio.Event()

    async def caught_up() -> bool:
        applied = [row for row in await seen(database) if row[0] == "road"]
        async with database.transaction() as tx:
            waiting = await rows(tx, "SELECT 1 FROM outbox")
        return len(applied) >= 500 and not waiting

    async with running(consumer):
        relaying = asyncio.create_task(relay.run(stopping))
        await until(caught_up)
        stopping.set()
        await relaying
    await writer.stop()

    applied = [row for row in await seen(database) if row[0] == "road"]
    assert len(applied) == len(set(applied)) == 500
    told = await read_topic(settings.bootstrap, RUNTIME_TOPICS["metrics"].name)
    progress = {
        (event["data"]["partition"], event["data"]["next_offset"])
        for event in told
        if event["data"]["topic"] == USAGE.name
    }
    async with database.transaction() as tx:
        stands = await rows(tx, "SELECT part, next_offset FROM consumer_offset")
    assert {(row.part, row.next_offset) for row in stands if row.next_offset} <= progress


async def test_two_readers_of_a_group_share_the_work_and_double_nothing(
    database: Database, settings: KafkaSettings
):
    first = toy_consumer(database, Toy(), reader(settings, "metrics.pair"), settings=settings)
    second = toy_consumer(database, Toy(), reader(settings, "metrics.pair"), settings=settings)

    async def applied() -> bool:
        return len([row for row in await seen(database) if row[0] == "pair"]) >= 300

    async with running(first):
        await publish(settings, "pair", 150)
        async with running(second):  # joins while the first reads: a rebalance in the middle
            await publish(settings, "pair2", 10)
            async with edge(settings) as writer:
                flushes = [
                    writer.append(USAGE, f"pair/a{n % 10}", wire(f"later {n}", workspace="pair"))[0]
                    for n in range(150)
                ]
                await asyncio.gather(*(flush.acked for flush in set(flushes)))
            await until(applied)

    rows_of_pair = [row for row in await seen(database) if row[0] == "pair"]
    assert len(rows_of_pair) == len(set(rows_of_pair)) == 300


async def test_kafka_group_offsets_do_not_decide(database: Database, settings: KafkaSettings):
    """Offsets committed far ahead in the group must not make us skip anything."""
    await publish(settings, "ahead", 40)
    ahead = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        group_id="metrics.ahead",
        enable_auto_commit=False,
    )
    await ahead.start()
    places = [TopicPartition(USAGE.name, n) for n in range(USAGE.partitions)]
    ahead.assign(places)
    await ahead.commit(await ahead.end_offsets(places))
    await ahead.stop()
    consumer = toy_consumer(database, Toy(), reader(settings, "metrics.ahead"), settings=settings)

    async def applied() -> bool:
        return len([row for row in await seen(database) if row[0] == "ahead"]) == 40

    async with running(consumer):
        await until(applied)


async def test_the_relay_publishes_in_commit_order_and_forgets_after_the_ack(
    database: Database, settings: KafkaSettings
):
    published: list[str] = []

    class Remembering(KafkaWriter):
        async def publish(self, rows: Sequence[OutboxRow]) -> None:
            await super().publish(rows)
            published.extend(row.key for row in rows)

    insert = text(
        "INSERT INTO outbox (event_id, topic, key, payload)"
        " VALUES (:k, :t, :k, CAST('{}' AS bytea))"
    )
    topic = RUNTIME_TOPICS["metrics"].name
    writer = Remembering(client_id="relay", settings=settings)
    relay = Relay(service="metrics", database=database, writer=writer, holder="one")
    async with database.transaction() as late:
        await late.execute(insert, {"k": "late", "t": topic})
        async with database.transaction() as early:
            await early.execute(insert, {"k": "early", "t": topic})
        while_open = await relay._publish_some(asyncio.Event())
    after = await relay._publish_some(asyncio.Event())
    await writer.stop()

    # "late" took the lower id and committed last: nothing behind it may overtake it unseen.
    assert (while_open, after, published) == (0, 2, ["late", "early"])
    async with database.transaction() as tx:
        assert await rows(tx, "SELECT 1 FROM outbox") == []


async def test_an_edge_without_kafka_says_so_in_time(unused_tcp_port: int):
    settings = KafkaSettings(bootstrap=f"127.0.0.1:{unused_tcp_port}")
    writer = BatchWriter(client_id="test", settings=settings)

    with pytest.raises(KafkaUnavailable):
        await writer.start([USAGE])
    await writer.stop()


async def test_creating_topics_twice_changes_nothing(stack: TemporaryStack):
    assert await create(stack.kafka_bootstrap, TOPICS.values(), replication_factor=1) == []
