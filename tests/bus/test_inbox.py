"""Which ids count as applied: exactly those within the window, and all of history for ever."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shared.bus import tables
from shared.bus.seen import SeenIds
from shared.db import Database, rows
from shared.events.base import Envelope, Received
from shared.events.ingest import UsageTracked
from tests.bus.conftest import NOON

ROOMY = 1_000_000


def received(
    event_id: str, *, at: datetime = NOON, appended_at: datetime = NOON, partition: int = 0
) -> Received[Any]:
    """An event that happened at `at` and was appended at `appended_at`."""
    envelope = Envelope(
        specversion="1.0",
        id=event_id,
        source="default",
        type=UsageTracked.type,
        time=at,
        workspace="w",
        partitionkey="w/a",
        originaltime="sent",
        data=msgspec.Raw(b"{}"),
    )
    return Received(
        envelope=envelope,
        event=UsageTracked(event="e", feature="e"),
        topic=UsageTracked.topic.name,
        partition=partition,
        offset=0,
        appended_at=appended_at,
    )


async def claimed(
    database: Database, batch: Sequence[Received[Any]], *, seen: SeenIds, keep: bool = False
) -> list[str]:
    """Ids that one transaction claims."""
    async with database.transaction() as tx:
        await tables.ensure_inbox_days(tx, {each.appended_at.date() for each in batch})
        fresh = await tables.claim_ids(tx, batch, keep=keep, seen=seen)
    return [each.envelope.id for each in fresh]


def live(event_id: str, *, day: int, happened: int | None = None) -> Received[Any]:
    """An event appended on day `day`, counted from noon's, that happened on day `happened`."""
    at = NOON + timedelta(days=day if happened is None else happened)
    return received(event_id, at=at, appended_at=NOON + timedelta(days=day))


async def test_a_repeat_is_known_to_a_process_that_has_just_begun(database: Database):
    await claimed(database, [received("1"), received("2")], seen=SeenIds(most_bytes=ROOMY))

    again = await claimed(database, [received("2"), received("3")], seen=SeenIds(most_bytes=ROOMY))

    assert again == ["3"]


async def test_what_another_process_claims_is_known_at_once(database: Database):
    ours, theirs = SeenIds(most_bytes=ROOMY), SeenIds(most_bytes=ROOMY)
    await claimed(database, [received("1")], seen=ours)
    await claimed(database, [received("2")], seen=theirs)

    assert await claimed(database, [received("2"), received("1")], seen=ours) == []


async def test_a_claim_that_is_rolled_back_is_no_claim(database: Database):
    seen = SeenIds(most_bytes=ROOMY)
    await claimed(database, [received("0")], seen=seen)
    async with database.engine.connect() as tx:
        await tables.claim_ids(tx, [received("1")], keep=False, seen=seen)
        await tx.rollback()

    assert await claimed(database, [received("1")], seen=seen) == ["1"]


async def test_a_repeat_of_an_event_from_the_future_is_known(database: Database):
    seen = SeenIds(most_bytes=ROOMY)
    for days_ahead in (0, 1, 2, 300):
        event = live(f"{days_ahead}", day=5, happened=5 + days_ahead)
        await claimed(database, [event], seen=seen)

        assert await claimed(database, [event], seen=seen) == []
        assert await claimed(database, [event], seen=SeenIds(most_bytes=ROOMY)) == []


async def test_a_live_id_is_remembered_for_thirty_days_and_not_for_31(database: Database):
    seen = SeenIds(most_bytes=ROOMY)
    await claimed(database, [live("1", day=0)], seen=seen)

    within = await claimed(database, [live("1", day=30, happened=0)], seen=seen)
    beyond = await claimed(database, [live("1", day=31, happened=0)], seen=seen)

    assert (within, beyond) == ([], ["1"])


async def test_an_event_from_the_future_is_known_when_its_time_has_come(database: Database):
    seen = SeenIds(most_bytes=ROOMY)
    await claimed(database, [live("1", day=0, happened=5)], seen=seen)

    early = await claimed(database, [live("1", day=1, happened=5)], seen=seen)
    late = await claimed(database, [live("1", day=6, happened=5)], seen=SeenIds(most_bytes=ROOMY))
    other = await claimed(database, [live("2", day=6, happened=5)], seen=seen)

    assert (early, late, other) == ([], [], ["2"])


async def test_a_history_id_is_remembered_after_a_year_and_in_16_bytes(database: Database):
    ids = [live(str(number), day=0, happened=-400) for number in range(1000)]
    first = await claimed(database, ids, keep=True, seen=SeenIds(most_bytes=ROOMY))

    later = [live(str(number), day=365, happened=-400) for number in range(1000)]
    again = await claimed(database, later, keep=True, seen=SeenIds(most_bytes=ROOMY))

    assert (len(first), again) == (1000, [])
    async with database.transaction() as tx:
        (kept,) = await rows(tx, "SELECT sum(length(ids)) AS bytes, count(*) AS n FROM inbox_kept")
    assert (kept.bytes, kept.n) == (16_000, 1)


async def test_a_cache_without_room_forgets_and_is_still_exact(database: Database):
    seen = SeenIds(most_bytes=16)
    batch = [received(str(number), partition=number % 3) for number in range(30)]

    assert len(await claimed(database, batch, seen=seen)) == 30
    assert await claimed(database, batch, seen=seen) == []
    assert len(seen) <= 1


async def test_a_service_that_catches_up_on_old_records_keeps_what_it_has_just_recorded(
    database: Database,
):
    seen = SeenIds(most_bytes=ROOMY)
    await claimed(database, [live("1", day=0)], seen=seen)
    async with database.transaction() as tx:
        dropped = await tables.forget_old_ids(tx, NOON + timedelta(days=100))

    assert dropped == []
    assert await claimed(database, [live("1", day=0)], seen=SeenIds(most_bytes=ROOMY)) == []


async def test_days_outside_the_window_are_dropped_and_those_within_stay(database: Database):
    seen = SeenIds(most_bytes=ROOMY)
    await claimed(database, [live("1", day=0)], seen=seen)
    await claimed(database, [live("2", day=50)], seen=seen)
    async with database.transaction() as tx:
        early = await tables.forget_old_ids(tx, NOON + timedelta(days=32))
        late = await tables.forget_old_ids(tx, NOON + timedelta(days=33))

    assert (early, late) == ([], [f"inbox_{NOON:%Y%m%d}"])


SCHEDULES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 40), st.booleans(), st.integers(0, 1)), max_size=25
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schedule=SCHEDULES)
async def test_any_schedule_of_lanes_days_and_processes_agrees_with_a_plain_memory(
    database: Database, schedule: list[tuple[int, int, bool, int]]
):
    async with database.transaction() as tx:
        await tx.execute(text("TRUNCATE inbox, inbox_kept"))
    processes = [SeenIds(most_bytes=ROOMY), SeenIds(most_bytes=48)]
    window: dict[str, list[int]] = {}
    history: dict[str, list[int]] = {}
    for number, day, is_history, process in schedule:
        name = str(number)
        known = any(at >= day - 30 for at in window.get(name, ()))
        known |= any(is_history or at >= day - 30 for at in history.get(name, ()))
        event = live(name, day=day, happened=-400)  # so long ago that the whole window counts

        fresh = await claimed(database, [event], keep=is_history, seen=processes[process])

        assert fresh == ([] if known else [name])
        if fresh:
            (history if is_history else window).setdefault(name, []).append(day)
