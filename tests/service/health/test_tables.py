"""However events are shuffled, split, repeated and spread over lanes: the same tables."""

from asyncio import Event
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.health.handlers import HISTORY, LIVE
from shared.bus.consumer import Consumer
from shared.bus.handlers import Lane
from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition
from shared.db import Database, rows
from shared.events.base import Received
from shared.settings import DatabaseSettings, KafkaSettings
from tests.conftest import FreshDatabase
from tests.unit.health.builders import identified, instant, upserted, used, wire

OWN_TABLES = ("account", "person", "member", "account_day", "user_day", "feature_day", "habit")
RUNTIME_TABLES = ("consumer_offset", "inbox", "inbox_kept", "outbox")
# Numbers are given in order of arrival: what they stand for is compared in their place.
COMPARED = {
    "account": "SELECT workspace, account, profile::text FROM account ORDER BY 1, 2",
    "person": "SELECT * FROM person ORDER BY 1, 2",
    **{
        table: f"SELECT a.account AS named, t.* FROM {table} t"
        " JOIN account a ON a.workspace = t.workspace AND a.number = t.account"
        for table in OWN_TABLES[2:]
    },
}
NUMBER = 2  # place of the account's number in a row of these


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    opened = Database(fresh_database("health"), schema="health", settings=DatabaseSettings())
    yield opened
    await opened.close()


async def drain(database: Database, lane: Lane, events: Sequence[Received[Any]], size: int) -> None:
    """Apply the events in this order through the real road, `size` in a transaction."""
    log = MemoryLog()
    for event in events:
        log.append(
            Partition(lane.topics[0].name, 0),
            key=None,
            value=wire(event),
            timestamp_ms=int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000),
        )
    reader = MemoryReader(log)
    consumer = Consumer(
        service="health",
        lane=lane,
        database=database,
        reader=reader,
        settings=KafkaSettings(batch_records=size),
        owner="test",
    )
    if log.partitions:
        await consumer._place_assigned()
    while reader.lag():
        await consumer._step(Event())


async def emptied(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(f"TRUNCATE {', '.join((*OWN_TABLES, *RUNTIME_TABLES))}"))


async def tables(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    async with database.transaction() as tx:
        found = {
            table: [tuple(row) for row in await rows(tx, sql)] for table, sql in COMPARED.items()
        }
    for table in OWN_TABLES[2:]:
        found[table] = sorted(row[:NUMBER] + row[NUMBER + 1 :] for row in found[table])
    return found


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


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    use=st.lists(USE, min_size=1, max_size=40),
    said=st.lists(SAID, max_size=5),
    chance=st.randoms(use_true_random=False),
    size=st.integers(1, 12),
)
async def test_any_arrival_of_the_same_events_gives_the_same_tables(
    database: Database, use: list[Any], said: list[Any], chance: Random, size: int
):
    events = events_of(use, said)
    await emptied(database)
    in_time = sorted(events, key=lambda event: event.envelope.time)
    await drain(database, LIVE, in_time, size=1000)
    wanted = await tables(database)

    repeated = [*events, *chance.sample(events, len(events) // 2)]
    chance.shuffle(repeated)
    # What was said of accounts and people comes by the live lane only.
    use_only = [event for event in repeated if event.topic == LIVE.topics[0].name]
    history = use_only[: len(use_only) // 2]
    live = [event for event in repeated if all(event is not other for other in history)]
    await emptied(database)
    await drain(database, LIVE, live, size)
    await drain(database, HISTORY, history, size)

    assert await tables(database) == wanted
