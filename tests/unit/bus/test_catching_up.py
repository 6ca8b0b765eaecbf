"""A lane that reads old records: where a stop leaves it, and days that are dropped meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shared.bus import tables
from shared.bus.commit import SliceCommit
from shared.bus.consumer import Consumer
from shared.bus.handlers import Lane
from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition
from shared.bus.slices import Slice
from shared.db import DatabaseUnavailable
from shared.events.base import Envelope, Received
from shared.events.ingest import USAGE, UsageTracked
from shared.settings import KafkaSettings

PLACE = Partition(USAGE.name, 0)
TODAY = datetime.now(UTC)


class NoDatabase:
    """Opens transactions on nothing: what is asked in them is recorded or made to fail."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield None


def consumer_of(log: MemoryLog) -> Consumer:
    database: Any = NoDatabase()
    return Consumer(
        service="toy",
        lane=Lane(name="usage", topics=(USAGE,), folds=()),
        database=database,
        reader=MemoryReader(log),
        settings=KafkaSettings(bootstrap="nowhere:9092"),
        owner="test",
    )


def test_what_was_fetched_and_not_applied_is_still_behind_after_a_stop(
    monkeypatch: pytest.MonkeyPatch,
):
    log, stopping = MemoryLog(), asyncio.Event()
    log.append(PLACE, key=b"k", value=b"{}", timestamp_ms=0)
    consumer = consumer_of(log)

    async def place(_: Consumer) -> None:
        if not consumer._positions:
            consumer._positions[PLACE] = 0
            consumer._reader.place({PLACE: 0})

    async def fail(_: SliceCommit, batch: Slice, **__: object) -> Slice:
        stopping.set()
        raise DatabaseUnavailable(f"{len(batch.entries)} records while it restarts")

    monkeypatch.setattr(Consumer, "_place_assigned", place)
    monkeypatch.setattr(SliceCommit, "apply", fail)

    asyncio.run(consumer.catch_up(stopping))

    assert consumer._reader.lag() == 0  # the reader has given all it had
    assert consumer._is_behind()


def test_a_reader_that_is_stuck_is_left_for_a_new_one(monkeypatch: pytest.MonkeyPatch):
    log, stopping = MemoryLog(), asyncio.Event()
    consumer = consumer_of(log)
    starts: list[int] = []

    async def start() -> None:
        starts.append(len(starts))
        if len(starts) > 1:
            stopping.set()
        else:
            consumer.rejoin("records wait, and nothing comes")

    async def place(_: Consumer) -> None:
        return None

    monkeypatch.setattr(consumer._reader, "start", start)
    monkeypatch.setattr(Consumer, "_place_assigned", place)
    monkeypatch.setattr("shared.bus.consumer.backoff_seconds", lambda _: 0.001)

    asyncio.run(asyncio.wait_for(consumer.run(stopping), 10))

    assert starts == [0, 1]


def used_at(appended_at: datetime) -> Received[UsageTracked]:
    return Received(
        envelope=Envelope(
            specversion="1.0",
            id="e",
            source="default",
            type=UsageTracked.type,
            time=appended_at,
            workspace="w",
            partitionkey="w/a",
            data=msgspec.Raw(b"{}"),
        ),
        event=UsageTracked(event="e", feature="e"),
        topic=USAGE.name,
        partition=0,
        offset=0,
        appended_at=appended_at,
    )


def test_days_that_housekeeping_drops_are_made_again_for_every_batch(
    monkeypatch: pytest.MonkeyPatch,
):
    made: list[set[date]] = []
    old, new = used_at(TODAY - timedelta(days=40)), used_at(TODAY)

    async def make(_: object, days: Collection[date]) -> None:
        made.append(set(days))

    async def nothing(_: object) -> None:
        pass

    monkeypatch.setattr(tables, "ensure_inbox_days", make)
    monkeypatch.setattr(tables, "ensure_outbox_days", nothing)
    consumer = consumer_of(MemoryLog())

    async def course() -> None:
        for _ in range(2):
            await consumer._commit._ensure_days([old, new])

    asyncio.run(course())

    assert made == [{old.appended_at.date(), TODAY.date()}, {old.appended_at.date()}]
