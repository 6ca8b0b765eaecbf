"""However events are shuffled, split, repeated and spread over lanes: the same tables."""

from asyncio import Event
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.health.handlers import CONTROL, HISTORY, LIVE
from shared.bus.consumer import Consumer
from shared.bus.handlers import Lane
from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition, Record
from shared.db import Database, rows
from shared.events.base import Received
from shared.events.ingest import WorkspaceConfigured
from shared.settings import DatabaseSettings, KafkaSettings
from tests.conftest import FreshDatabase
from tests.unit.health.builders import identified, instant, received, upserted, used, wire

PARTITIONS = 3
OWN_TABLES = (
    "workspace",
    "account",
    "person",
    "member",
    "account_day",
    "user_day",
    "feature_day",
    "habit",
)
RUNTIME_TABLES = ("consumer_offset", "inbox", "inbox_kept", "outbox")


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    opened = Database(fresh_database("health"), schema="health", settings=DatabaseSettings())
    yield opened
    await opened.close()


class AnyOrder(MemoryReader):
    """Gives records of whichever partitions come, some of each, as brokers do."""

    def __init__(self, log: MemoryLog, chance: Random) -> None:
        super().__init__(log)
        self._chance = chance

    async def fetch(
        self, *, max_records: int, wait_ms: int
    ) -> Mapping[Partition, Sequence[Record]]:
        places = list(self._next)
        self._chance.shuffle(places)
        fetched: dict[Partition, Sequence[Record]] = {}
        for place in places:
            begin = self._next[place]
            records = self._log.partitions[place][begin : begin + self._chance.randint(0, 9)]
            if records[:max_records]:
                fetched[place] = records[:max_records]
                max_records -= len(fetched[place])
                self._next[place] += len(fetched[place])
        return fetched


async def drain(
    database: Database, lane: Lane, events: Sequence[Received[Any]], size: int, chance: Random
) -> None:
    """Apply the events through the real road, `size` in a transaction.

    Events of one account keep this order within a topic, as keys make it; others come anyhow.
    """
    log = MemoryLog()
    topics = {topic.name for topic in lane.topics}
    for event in events:
        topic = event.topic if event.topic in topics else lane.topics[0].name
        log.append(
            Partition(topic, sum(event.envelope.partitionkey.encode()) % PARTITIONS),
            key=None,
            value=wire(event),
            timestamp_ms=int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000),
        )
    reader = AnyOrder(log, chance)
    consumer = Consumer(
        service="health",
        lane=lane,
        database=database,
        reader=reader,
        settings=KafkaSettings(batch_records=size),
        owner="test",
    )
    if log.partitions:
        await consumer.catch_up(Event())


async def emptied(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(f"TRUNCATE {', '.join((*OWN_TABLES, *RUNTIME_TABLES))}"))


async def tables(database: Database) -> dict[str, list[str]]:
    """Every row of every table, byte for byte."""
    async with database.transaction() as tx:
        return {
            table: [
                row.line
                for row in await rows(tx, f"SELECT t::text AS line FROM {table} t ORDER BY 1")
            ]
            for table in OWN_TABLES
        }


USE = st.tuples(
    st.integers(0, 4 * 24) | st.integers(0, 120 * 24),
    st.sampled_from(["acme", "umbra"]),
    st.sampled_from(["w1", "w2"]),
    st.sampled_from(["ada", "bob", None]),
)
SAID = st.tuples(st.integers(0, 5), st.sampled_from(["Acme", "Acme Ltd", None]), st.booleans())


def events_of(use: Sequence[Any], said: Sequence[Any]) -> list[Received[Any]]:
    start = instant("2026-01-01")
    events = [
        used(
            start + timedelta(hours=hour),
            account=account,
            workspace=workspace,
            user=user,
            event_id=f"use {number}",
        )
        for number, (hour, account, workspace, user) in enumerate(use)
    ]
    for number, (day, name, person) in enumerate(said):
        at = f"2026-01-0{day + 1}"
        where = {"event_id": f"said {number}"}
        events.append(
            identified(at, user="ada", role=name or "user", where=where)
            if person
            else upserted(at, name=name, seats=number, where=where)
        )
    return events


def configured(silence_days: int) -> Received[Any]:
    """Settings of one of the workspaces."""
    said = WorkspaceConfigured(
        id="w1",
        name="One",
        time_zone="UTC",
        reporting_currency="EUR",
        locale="en",
        silence_days=silence_days,
    )
    return received(said, "2026-01-01", account=None, workspace="w1")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    use=st.lists(USE, min_size=1, max_size=40),
    said=st.lists(SAID, max_size=5),
    seed=st.integers(0, 2**32),
    size=st.integers(1, 12),
)
async def test_any_arrival_of_the_same_events_gives_the_same_tables(
    database: Database, use: list[Any], said: list[Any], seed: int, size: int
):
    chance = Random(seed)
    events = events_of(use, said)
    settings_told = [configured(30), configured(60)]
    await emptied(database)
    in_time = sorted(events, key=lambda event: event.envelope.time)
    await drain(database, CONTROL, settings_told, 1000, chance)
    await drain(database, LIVE, in_time, 1000, chance)
    wanted = await tables(database)

    repeated = [*events, *chance.sample(events, len(events) // 2)]
    chance.shuffle(repeated)
    # What was said of accounts and people comes by the live lane only.
    use_only = [event for event in repeated if event.topic == LIVE.topics[0].name]
    history = use_only[: len(use_only) // 2]
    live = [event for event in repeated if all(event is not other for other in history)]
    lanes = [(LIVE, live), (HISTORY, history), (CONTROL, settings_told)]
    chance.shuffle(lanes)
    await emptied(database)
    for lane, told in lanes:
        await drain(database, lane, told, size, chance)

    assert await tables(database) == wanted
