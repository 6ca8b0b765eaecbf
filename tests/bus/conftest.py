"""A toy service on the real runtime: it counts use per account and remembers the order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from shared.bus.consumer import Consumer, Reader
from shared.bus.handlers import BatchFold, Lane
from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition
from shared.db import Database, Tx, rows
from shared.events.base import Caused, Envelope, Received, partition_key
from shared.events.ingest import USAGE, UsageTracked
from shared.settings import DatabaseSettings, KafkaSettings
from tests.conftest import FreshDatabase

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def wire(
    event_id: str,
    *,
    account: str = "acme",
    workspace: str = "w1",
    event: str = "Export",
    time: datetime = NOON,
) -> bytes:
    """A track event in wire form."""
    data = msgspec.json.encode({"event": event, "feature": event})
    envelope = Envelope(
        specversion="1.0",
        id=event_id,
        source="default",
        type=UsageTracked.type,
        time=time,
        workspace=workspace,
        partitionkey=partition_key(workspace, account),
        subject=account,
        originaltime="sent",
        data=msgspec.Raw(data),
    )
    return msgspec.json.encode(envelope)


@dataclass
class Toy:
    """What the toy service does with a batch; tests may make it fail."""

    failing: Callable[[Sequence[Received[Any]]], None] = field(default=lambda _: None)

    async def fold(self, tx: Tx, batch: Sequence[Received[Any]]) -> list[Caused]:
        await tx.execute(
            text(
                "INSERT INTO seen (workspace, account, event_id)"
                " SELECT * FROM unnest(CAST(:w AS text[]), CAST(:a AS text[]), CAST(:i AS text[]))"
            ),
            {
                "w": [received.envelope.workspace for received in batch],
                "a": [received.envelope.subject for received in batch],
                "i": [received.envelope.id for received in batch],
            },
        )
        self.failing(batch)
        return []

    def lane(self, **options: Any) -> Lane:
        """The toy's lane."""
        fold = BatchFold(on=(UsageTracked,), handle=self.fold)
        return Lane(name="live", topics=(USAGE,), folds=(fold,), **options)


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """A database with the runtime's tables and the toy's own."""
    database = Database(
        fresh_database("metrics"), schema="metrics", settings=DatabaseSettings(pool_size=4)
    )
    async with database.transaction() as tx:
        await tx.execute(
            text(
                "CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, workspace text,"
                " account text, event_id text)"
            )
        )
    yield database
    await database.close()


def toy_consumer(
    database: Database,
    toy: Toy,
    reader: Reader,
    *,
    settings: KafkaSettings | None = None,
    **lane: Any,
) -> Consumer:
    """A consumer of the toy's lane."""
    return Consumer(
        service="metrics",
        lane=toy.lane(**lane),
        database=database,
        reader=reader,
        settings=settings or KafkaSettings(),
        owner="test",
    )


async def drain(consumer: Consumer, reader: MemoryReader) -> None:
    """Step until nothing is left to read."""
    stopping = asyncio.Event()
    await consumer._step(stopping)
    while reader.lag():
        await consumer._step(stopping)


async def seen(database: Database) -> list[tuple[str, str, str]]:
    """What the toy applied, in order."""
    async with database.transaction() as tx:
        found = await rows(tx, "SELECT workspace, account, event_id FROM seen ORDER BY n")
    return [(row.workspace, row.account, row.event_id) for row in found]


async def dead(database: Database) -> list[tuple[int, str]]:
    """Offset and code of each dead letter."""
    async with database.transaction() as tx:
        found = await rows(tx, 'SELECT "offset", code FROM dead_letter ORDER BY "offset"')
    return [(row.offset, row.code) for row in found]


async def offsets(database: Database) -> Mapping[Partition, int]:
    """How far the toy has read."""
    async with database.transaction() as tx:
        found = await rows(tx, "SELECT topic, part, next_offset FROM consumer_offset")
    return {Partition(row.topic, row.part): row.next_offset for row in found}


def log_of(values: Collection[bytes | None], *, partition: int = 0) -> MemoryLog:
    """A log in memory with these values in one partition."""
    log = MemoryLog()
    append(log, values, partition=partition)
    return log


def append(log: MemoryLog, values: Collection[bytes | None], *, partition: int = 0) -> None:
    """Append these values to one partition, at noon."""
    for value in values:
        log.append(
            Partition(USAGE.name, partition),
            key=b"w1/acme",
            value=value,
            timestamp_ms=int(NOON.timestamp() * 1000),
        )
