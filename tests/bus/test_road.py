"""The straight road on a real PostgreSQL: once in effect, whatever is redelivered or fails."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.bus.breaker import LaneStopped
from shared.bus.memory import MemoryReader
from shared.bus.record import Partition
from shared.db import Database, DatabaseUnavailable, rows
from shared.errors import PermanentError
from shared.events.base import Received
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings
from tests.bus.conftest import (
    NOON,
    Toy,
    append,
    dead,
    drain,
    log_of,
    offsets,
    seen,
    toy_consumer,
    wire,
)

FIRST = Partition(USAGE.name, 0)


class TooOdd(PermanentError):
    code = "too_odd"


def refuse(event_id: str):
    """A fold that can never apply the event with this id."""

    def failing(batch: Sequence[Received[Any]]) -> None:
        if any(received.envelope.id == event_id for received in batch):
            raise TooOdd(event_id)

    return failing


async def test_events_are_applied_in_order_and_the_offset_moves_with_them(database: Database):
    log = log_of([wire("default 1"), wire("default 2"), wire("default 3")])
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader), reader)

    assert [event_id for _, _, event_id in await seen(database)] == [
        "default 1",
        "default 2",
        "default 3",
    ]
    assert await offsets(database) == {FIRST: 3}


async def test_second_delivery_of_an_event_changes_nothing(database: Database):
    log = log_of([wire("default 1"), wire("default 1"), wire("default 2")])
    reader = MemoryReader(log)
    consumer = toy_consumer(database, Toy(), reader)
    await drain(consumer, reader)
    append(log, [wire("default 2"), wire("default 1")])

    await drain(consumer, reader)

    assert [event_id for _, _, event_id in await seen(database)] == ["default 1", "default 2"]
    assert await offsets(database) == {FIRST: 5}


async def test_same_id_in_two_workspaces_is_two_events(database: Database):
    log = log_of([wire("default 1", workspace="w1"), wire("default 1", workspace="w2")])
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader), reader)

    assert [workspace for workspace, _, _ in await seen(database)] == ["w1", "w2"]


async def test_a_repeat_is_dropped_across_the_live_and_the_history_lane(database: Database):
    live = log_of([wire("default 1")])
    history = log_of([wire("default 1"), wire("default 2", time=NOON - timedelta(days=400))])
    live_reader, history_reader = MemoryReader(live), MemoryReader(history)
    await drain(toy_consumer(database, Toy(), live_reader), live_reader)
    async with database.transaction() as tx:
        await tx.execute(text("DELETE FROM consumer_offset"))  # the lanes have own groups

    await drain(toy_consumer(database, Toy(), history_reader, keeps_ids=True), history_reader)

    assert [event_id for _, _, event_id in await seen(database)] == ["default 1", "default 2"]


async def test_a_zombie_that_comes_second_applies_nothing(database: Database):
    log = log_of([wire("default 1"), wire("default 2")])
    zombie_reader, owner_reader = MemoryReader(log), MemoryReader(log)
    zombie = toy_consumer(database, Toy(), zombie_reader)
    owner = toy_consumer(database, Toy(), owner_reader)
    await zombie._place_assigned()
    await drain(owner, owner_reader)

    await drain(zombie, zombie_reader)

    assert len(await seen(database)) == 2
    assert await offsets(database) == {FIRST: 2}


async def test_without_the_compare_and_set_a_zombie_would_double(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    """The negative control of the test above: with both protections off, the effect doubles."""

    async def move_blindly(tx: Any, *_: Any, **__: Any) -> Any:
        return (await rows(tx, "SELECT now() AS at"))[0].at

    async def claim_blindly(_: Any, batch: Any, **__: Any) -> Any:
        return list(batch)

    monkeypatch.setattr("shared.bus.tables.advance_offsets", move_blindly)
    monkeypatch.setattr("shared.bus.tables.claim_ids", claim_blindly)
    log = log_of([wire("default 1"), wire("default 2")])
    for _ in range(2):
        reader = MemoryReader(log)
        await drain(toy_consumer(database, Toy(), reader), reader)

    assert len(await seen(database)) == 4


async def test_a_record_that_is_no_event_becomes_a_dead_letter_and_the_rest_goes_on(
    database: Database,
):
    log = log_of([wire("default 1"), b"{not json", b'{"id": 3}', wire("default 2"), None])
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader), reader)

    assert len(await seen(database)) == 2
    assert await dead(database) == [(1, "malformed"), (2, "malformed")]
    assert await offsets(database) == {FIRST: 5}


async def test_one_poison_event_among_many_is_found_and_the_others_stand(database: Database):
    log = log_of([wire(f"default {n}") for n in range(50)])
    reader = MemoryReader(log)
    toy = Toy(failing=refuse("default 31"))

    await drain(toy_consumer(database, toy, reader), reader)

    assert [event_id for _, _, event_id in await seen(database)] == [
        f"default {n}" for n in range(50) if n != 31
    ]
    assert await dead(database) == [(31, "too_odd")]
    assert await offsets(database) == {FIRST: 50}


async def test_a_lane_that_only_makes_dead_letters_stops_instead_of_draining(database: Database):
    log = log_of([b"{"] * 30)
    reader = MemoryReader(log)
    settings = KafkaSettings(dead_letters_in_a_row=10, batch_records=5)
    consumer = toy_consumer(database, Toy(), reader, settings=settings)

    with pytest.raises(LaneStopped):
        await drain(consumer, reader)

    assert len(await dead(database)) == 11


async def test_a_lane_stops_too_where_every_batch_holds_one_bad_record(database: Database):
    log = log_of([b"{"] * 30)
    reader = MemoryReader(log)
    settings = KafkaSettings(dead_letters_in_a_row=10, batch_records=1)
    consumer = toy_consumer(database, Toy(), reader, settings=settings)

    with pytest.raises(LaneStopped):
        await drain(consumer, reader)

    assert len(await dead(database)) == 11


async def test_a_passing_fault_is_tried_again_and_never_a_dead_letter(database: Database):
    faults = iter([DatabaseUnavailable("gone"), DatabaseUnavailable("gone"), None])

    def failing(_: Sequence[Received[Any]]) -> None:
        if (fault := next(faults)) is not None:
            raise fault

    log = log_of([wire("default 1")])
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(failing=failing), reader), reader)

    assert len(await seen(database)) == 1
    assert await dead(database) == []


async def test_a_commit_whose_reply_is_lost_is_not_applied_again(database: Database):
    log = log_of([wire("default 1")])
    reader = MemoryReader(log)
    consumer = toy_consumer(database, Toy(), reader)
    apply = consumer._commit.apply
    lost = iter([True, False])

    async def apply_and_lose_the_reply(*arguments: Any, **options: Any) -> Any:
        folded = await apply(*arguments, **options)
        if next(lost):
            raise DatabaseUnavailable("connection lost at commit")
        return folded

    consumer._commit.apply = apply_and_lose_the_reply  # type: ignore[method-assign]

    await drain(consumer, reader)

    assert len(await seen(database)) == 1
    assert await offsets(database) == {FIRST: 1}


async def test_a_stop_while_a_batch_waits_for_its_next_try_ends_at_once(database: Database):
    def failing(_: Sequence[Received[Any]]) -> None:
        raise DatabaseUnavailable("gone")

    log = log_of([wire("default 1")])
    consumer = toy_consumer(database, Toy(failing=failing), MemoryReader(log))
    stopping = asyncio.Event()
    running = asyncio.create_task(consumer.run(stopping))
    async with asyncio.timeout(10):
        while consumer.state.waiting_for is None:
            await asyncio.sleep(0.01)

    stopping.set()

    async with asyncio.timeout(2):
        await running
    assert await seen(database) == []


async def test_a_time_at_the_edge_of_the_calendar_is_applied_like_any_other(database: Database):
    """Year 1 is how some languages say "no time"; it must not cost anybody else's events."""
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
    log = log_of([wire("default 1", time=first), wire("default 2", time=last), wire("default 3")])
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader), reader)

    assert len(await seen(database)) == 3
    assert await dead(database) == []


async def test_isolating_bad_records_counts_as_progress(database: Database):
    log = log_of([wire(f"default {n}") for n in range(20)])
    reader = MemoryReader(log)
    consumer = toy_consumer(database, Toy(failing=refuse("default 7")), reader)
    marks: list[float] = []
    passed = consumer._passed

    def noting(batch: Any) -> None:
        consumer.state.progressed_at = 0.0
        passed(batch)
        marks.append(consumer.state.progressed_at)

    consumer._passed = noting  # type: ignore[method-assign]

    await drain(consumer, reader)

    assert len(marks) > 3
    assert all(marks)
