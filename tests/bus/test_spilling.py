"""The edge's writer with a spill behind it: nothing waits for Kafka for long, nothing overtakes."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, OutOfOrderSequenceNumber
from aiokafka.producer.message_accumulator import BatchBuilder

from deploy.local import contents
from deploy.local.kafka.cluster import Kafka, one_node_anywhere
from deploy.local.kafka.quick_start import prepare_runtime
from services.ingest.store.spill import DiskSpill
from shared import telemetry
from shared.bus.kafka import batches, connection, writer
from shared.bus.kafka.batches import BatchWriter
from shared.bus.kafka.flush import SPILLED, Flush
from shared.bus.kafka.reader import KafkaUnavailable
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings
from tests.bus.conftest import wire
from tests.support.homes import new_home, remove
from tests.support.stack import TemporaryStack
from tests.support.topics import read_topic


@asynccontextmanager
async def spilling(
    bootstrap: str, directory: Path, *, most_bytes: int = 1024 * 1024, **options: Any
) -> AsyncIterator[tuple[BatchWriter, DiskSpill]]:
    """A connected writer with a spill; both are closed at the end."""
    idempotence = options.pop("idempotence", False)
    settings = KafkaSettings(bootstrap=bootstrap, idempotence=idempotence)
    spill = DiskSpill(directory, most_bytes=most_bytes, noted=lambda _, __: None)
    edge = BatchWriter(client_id="test", settings=settings, spill=spill, **options)
    edge.start_connecting([USAGE])
    try:
        yield edge, spill
    finally:
        await edge.stop()
        await spill.close()


async def connected(edge: BatchWriter) -> None:
    await until(lambda: edge.is_connected)


async def until(condition: Any, *, seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def send(edge: BatchWriter, workspace: str, *numbers: int, filler: str = "") -> set[Flush]:
    """Numbered events of one key."""
    return {
        edge.append(
            USAGE, f"{workspace}/acme", wire(f"default {n}", workspace=workspace, event=filler)
        )[0]
        for n in numbers
    }


async def outcome(flushes: set[Flush]) -> set[int]:
    """What the flushes ended with."""
    return set(await asyncio.gather(*(flush.acked for flush in flushes)))


async def standing(bootstrap: str, workspace: str) -> list[int]:
    """The numbers in the topic, first occurrences, in order."""
    found = await read_topic(bootstrap, USAGE.name)
    ids = [event["id"] for event in found if event["workspace"] == workspace]
    return [int(one.removeprefix("default ")) for one in dict.fromkeys(ids)]


def stand_in_the_way(edge: BatchWriter, faults: Iterator[BaseException | None]) -> None:
    """Batches of the present producer meet these faults, one after the other; then none."""
    producer = edge._connection.producer
    assert producer is not None
    real = producer.send_batch

    async def send_batch(batch: BatchBuilder, topic: str, *, partition: int) -> Any:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return await real(batch, topic, partition=partition)

    producer.send_batch = send_batch


def rebuilt(reason: str) -> float:
    return float(telemetry.PRODUCER_REBUILT.labels(reason)._value.get())


def rebuilt_at_all() -> float:
    (metric,) = telemetry.PRODUCER_REBUILT.collect()
    return sum(sample.value for sample in metric.samples if sample.name.endswith("_total"))


async def test_what_kafka_does_not_take_is_spilled_with_all_behind_it_and_drained_in_order(
    stack: TemporaryStack, tmp_path: Path
):
    async with spilling(stack.kafka_bootstrap, tmp_path, most_bytes=8_000_000) as (edge, spill):
        await connected(edge)
        stand_in_the_way(edge, iter([KafkaTimeoutError()] * 3))
        first = send(edge, "line", *range(200), filler="x" * 5_000)  # several full batches

        ends = await outcome(first)
        later = await outcome(send(edge, "line", *range(200, 210)))
        await until(lambda: not spill.places())
        direct = await outcome(send(edge, "line", *range(210, 220)))

    assert ends == {SPILLED}
    assert len(first) > 1
    assert later == {SPILLED}
    assert SPILLED not in direct
    assert await standing(stack.kafka_bootstrap, "line") == list(range(220))


async def test_a_steady_stream_finds_its_way_back_from_the_spill(
    stack: TemporaryStack, tmp_path: Path
):
    async with spilling(stack.kafka_bootstrap, tmp_path) as (edge, spill):
        await connected(edge)
        stand_in_the_way(edge, iter([KafkaTimeoutError()]))

        ends = []
        for number in range(400):  # never a pause in which the spill would run empty by itself
            ends.append(send(edge, "stream", number))
            await asyncio.sleep(0.002)
        outcomes = [next(iter(await outcome(flushes))) for flushes in ends]
        await spill.check()

    assert spill.miscounted_events == 0
    assert SPILLED in outcomes
    assert SPILLED not in outcomes[-100:]
    assert await standing(stack.kafka_bootstrap, "stream") == list(range(400))


async def test_a_writer_that_never_reached_kafka_spills_at_once(
    stack: TemporaryStack, tmp_path: Path, unused_tcp_port: int
):
    async with spilling(f"127.0.0.1:{unused_tcp_port}", tmp_path) as (edge, spill):
        started = time.monotonic()
        ends = await outcome(send(edge, "unreached", *range(10)))
        took = time.monotonic() - started

        assert ends == {SPILLED}
        assert took < 1
        assert sum(map(spill.pending, spill.places())) == 10
    async with spilling(stack.kafka_bootstrap, tmp_path) as (_, spill):  # the next life
        await until(lambda: not spill.places())

    assert await standing(stack.kafka_bootstrap, "unreached") == list(range(10))


async def test_a_wedged_producer_is_replaced_and_nothing_is_lost(
    stack: TemporaryStack, tmp_path: Path
):
    before = rebuilt("OutOfOrderSequenceNumber")
    async with spilling(stack.kafka_bootstrap, tmp_path) as (edge, spill):
        await connected(edge)
        wedged = edge._connection.producer
        stand_in_the_way(edge, iter([OutOfOrderSequenceNumber()] * 1000))

        ends = await outcome(send(edge, "wedged", 1))
        await until(lambda: edge.is_connected and not spill.places())
        direct = await outcome(send(edge, "wedged", 2))

        assert edge._connection.producer is not wedged
    assert ends == {SPILLED}
    assert SPILLED not in direct
    assert rebuilt("OutOfOrderSequenceNumber") == before + 1
    assert await standing(stack.kafka_bootstrap, "wedged") == [1, 2]


async def test_a_wedged_producer_is_replaced_without_a_spill_too(stack: TemporaryStack):
    settings = KafkaSettings(bootstrap=stack.kafka_bootstrap)
    edge = BatchWriter(client_id="test", settings=settings)
    await edge.start([USAGE])
    stand_in_the_way(edge, iter([OutOfOrderSequenceNumber()] * 1000))

    with pytest.raises(KafkaUnavailable):
        await outcome(send(edge, "unspilled", 1))
    await connected(edge)
    later = await outcome(send(edge, "unspilled", 2))
    await edge.stop()

    assert min(later) >= 0


async def test_a_send_that_hangs_ends_in_the_spill_and_a_new_producer(
    stack: TemporaryStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "HUNG_SECONDS", 1.0)
    before = rebuilt("hung")
    async with spilling(stack.kafka_bootstrap, tmp_path, ack_seconds=0.3) as (edge, spill):
        await connected(edge)
        producer = edge._connection.producer
        assert producer is not None

        async def send_batch(*_: Any, **__: Any) -> None:
            await asyncio.Event().wait()

        producer.send_batch = send_batch
        started = time.monotonic()
        ends = await outcome(send(edge, "hung", 1))
        took = time.monotonic() - started
        await until(lambda: not spill.places())

    assert ends == {SPILLED}
    assert 0.3 <= took < 1
    assert rebuilt("hung") == before + 1
    assert await standing(stack.kafka_bootstrap, "hung") == [1]


async def test_without_room_in_the_spill_it_says_so_in_time(stack: TemporaryStack, tmp_path: Path):
    async with spilling(
        stack.kafka_bootstrap, tmp_path, most_bytes=1, ack_seconds_without_spill=0.5
    ) as (edge, _):
        await connected(edge)
        stand_in_the_way(edge, iter([KafkaTimeoutError()]))

        with pytest.raises(KafkaUnavailable, match="spill"):
            await outcome(send(edge, "roomless", 1))
        again = send(edge, "roomless", 2)
        refused = await asyncio.gather(*(flush.acked for flush in again), return_exceptions=True)
        await asyncio.sleep(batches.CANARY_SECONDS)
        healed = await outcome(send(edge, "roomless", 3))  # Kafka is tried now and then

    assert isinstance(refused[0], KafkaUnavailable)
    assert min(healed) >= 0
    assert edge.inflight_bytes == 0


@dataclass
class Weather:
    """Makes producers whose every batch may meet a fault: before it is sent, after, or late."""

    chance: random.Random
    faults: Counter[str] = field(default_factory=Counter)

    def producer(self, *arguments: Any, **options: Any) -> Any:
        made = writer.producer(*arguments, **options)
        real = made.send_batch

        async def send_batch(batch: BatchBuilder, topic: str, *, partition: int) -> Any:
            fault = self.chance.choices(
                ["none", "late", "not sent", "unknown", "wedged"], [8, 2, 2, 2, 1]
            )[0]
            self.faults[fault] += 1
            if fault == "late":
                await asyncio.sleep(self.chance.random() * 0.3)
            if fault == "not sent":
                raise KafkaTimeoutError
            sent = await real(batch, topic, partition=partition)
            if fault == "unknown":
                await sent
                raise KafkaTimeoutError
            if fault == "wedged":
                raise OutOfOrderSequenceNumber
            return sent

        made.send_batch = send_batch
        return made


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))]
)
async def test_no_weather_loses_or_reorders_what_was_acknowledged(
    stack: TemporaryStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    chance = random.Random(seed)
    weather = Weather(chance)
    monkeypatch.setattr(connection, "producer", weather.producer)
    keys = [f"weather{seed}x{n}" for n in range(5)]
    sent: dict[str, list[tuple[int, Flush]]] = {key: [] for key in keys}
    async with spilling(
        stack.kafka_bootstrap, tmp_path, most_bytes=64_000_000, ack_seconds=0.2
    ) as (edge, spill):
        await connected(edge)
        for number in range(1500):
            key = chance.choice(keys)
            (flush,) = send(edge, key, number, filler="x" * chance.randrange(3_000))
            sent[key].append((number, flush))
            if chance.random() < 0.5:
                await asyncio.sleep(chance.random() * 0.006)
        every = {flush for flushes in sent.values() for _, flush in flushes}
        outcomes = await asyncio.gather(*(flush.acked for flush in every), return_exceptions=True)
        await until(lambda: not spill.places(), seconds=60)
        await spill.check()
        assert (spill.lost_events, spill.miscounted_events, spill.bytes) == (0, 0, 0)
        assert edge.inflight_bytes == 0
        assert edge.receded_events == 0

    assert set(map(type, outcomes)) == {int}
    assert len(weather.faults) == 5, weather.faults
    for key in keys:
        assert await standing(stack.kafka_bootstrap, key) == [number for number, _ in sent[key]]


@pytest.fixture
async def kafka() -> AsyncIterator[Kafka]:
    """A Kafka to be killed."""
    home = new_home("kafka")
    node = one_node_anywhere(home, prepare_runtime())
    try:
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(contents.create_topics, node.bootstrap, 1)
        yield node
    finally:
        await asyncio.to_thread(node.stop)
        remove(home)


@pytest.mark.parametrize("idempotence", [False, True])
async def test_a_producer_survives_an_outage_longer_than_its_patience(
    kafka: Kafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    idempotence: bool,  # noqa: FBT001 - a parameter of the test
):
    """With idempotence aiokafka's own producer waits for ever here, or is wedged afterwards."""
    monkeypatch.setattr(writer, "REQUEST_MS", 2_000)
    monkeypatch.setattr(writer, "STOP_SECONDS", 1.0)
    monkeypatch.setattr(connection, "HUNG_SECONDS", 6.5)
    monkeypatch.setattr(connection, "START_SECONDS", 5.0)
    async with spilling(kafka.bootstrap, tmp_path, ack_seconds=3.0, idempotence=idempotence) as (
        edge,
        spill,
    ):
        await connected(edge)
        await outcome(send(edge, "outage", *range(10)))
        await until(lambda: not spill.places())
        rebuilt_before = rebuilt_at_all()
        kafka.kill_node(1)
        during = [await outcome(send(edge, "outage", n)) for n in range(10, 20)]
        await asyncio.sleep(8)  # longer than a request, and longer than a hanging one is awaited
        during.append(await outcome(send(edge, "outage", 20)))
        await asyncio.to_thread(kafka.start)
        await until(lambda: not spill.places(), seconds=60)
        after = await outcome(send(edge, "outage", 21))

    assert SPILLED not in after
    assert (rebuilt_at_all() > rebuilt_before) is idempotence
    assert during == [{SPILLED}] * 11
    assert await standing(kafka.bootstrap, "outage") == list(range(22))
