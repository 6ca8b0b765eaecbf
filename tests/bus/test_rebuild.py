"""A rebuild of a toy service on a real log: day by day, compared row by row, swapped or refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from sqlalchemy import text

from shared.bus.consumer import Consumer
from shared.bus.relay import Relay
from shared.bus.tables import OutboxRow
from shared.db import Database, Tx, rows
from shared.events.base import Received
from shared.service.housekeeping import keep_house
from shared.service.rebuild import carrying, conduct, swap
from shared.service.rebuild.conduct import LiveTooBusy, TablesDiffer
from shared.service.rebuild.replay import LogBegunLater, LogEndsEarlier, Replay
from shared.service.rebuild.session import RebuildRuns, alone
from shared.service.rebuild.shadow import NotMigrated, SchemaUnknown
from shared.service.rebuild.swap import stand_where_retired
from shared.settings import DatabaseSettings
from tests.bus.toy_service import TODAY, ToyService, count_use
from tests.conftest import FreshDatabase
from tests.support.stack import TemporaryStack

DAY = timedelta(days=1)


@pytest.fixture
async def toy(stack: TemporaryStack, fresh_database: FreshDatabase) -> AsyncIterator[ToyService]:
    made = ToyService(stack.kafka_bootstrap, fresh_database("metrics"))
    await made.prepare()
    yield made
    await made.database.close()


# --- equal --------------------------------------------------------------------------------------


async def test_rebuilt_tables_take_the_live_ones_place(toy: ToyService):
    await toy.publish("e 1", "e 2", "e 1")
    await toy.fold_live()
    before = await toy.ask("SELECT 'tally'::regclass::oid")

    await toy.rebuild()

    assert await toy.counted() == 2
    assert await toy.ask("SELECT 'tally'::regclass::oid") != before
    assert any(line.startswith("tally") and line.endswith("equal") for line in toy.said)


async def test_consumers_go_on_behind_the_last_folded_record(toy: ToyService):
    await toy.publish("e 1", "e 2")
    await toy.fold_live()
    await toy.rebuild()
    await toy.publish("e 2", "e 3")

    await toy.fold_live()

    assert await toy.counted() == 3


async def test_a_repeat_behind_the_window_counts_again_as_it_did(toy: ToyService):
    await toy.publish("e 1", at=TODAY - 50 * DAY)
    await toy.publish("e 1", at=TODAY - 10 * DAY)
    await toy.fold_live()

    await toy.rebuild()

    assert await toy.counted() == 2


async def test_a_repeat_in_another_lane_counts_as_it_did(toy: ToyService):
    """Folded lane by lane in one go, the first copy would meet the id of the second."""
    await toy.publish("e 1", lane="history", at=TODAY - 50 * DAY)
    await toy.fold_live()
    await toy.publish("e 1", lane="live", at=TODAY - 10 * DAY)
    await toy.fold_live()
    assert await toy.counted() == 2

    await toy.rebuild()

    assert await toy.counted() == 2


async def test_folded_in_one_go_the_same_repeat_would_be_lost(
    toy: ToyService, monkeypatch: pytest.MonkeyPatch
):
    """The negative control of the test above."""
    monkeypatch.setattr(Replay, "fold", Replay.fold_to)
    await toy.publish("e 1", lane="history", at=TODAY - 50 * DAY)
    await toy.fold_live()
    await toy.publish("e 1", lane="live", at=TODAY - 10 * DAY)
    await toy.fold_live()

    with pytest.raises(TablesDiffer, match="tally"):
        await toy.rebuild()


async def test_old_ids_are_forgotten_as_the_live_service_has(toy: ToyService):
    await toy.publish("e 1", at=TODAY - 50 * DAY)
    await toy.publish("e 2", at=TODAY)
    await toy.fold_live()
    ran = "SELECT 1 FROM pg_class WHERE relname LIKE 'inbox\\_2%' AND relispartition"
    days = len(await toy.ask(ran))
    await toy.do(
        "INSERT INTO lease (name, holder, fence, lease_until, due_at)"
        " VALUES ('job:keep_house', 'live', 1, now(), now() + interval '1 hour')"
    )
    async with toy.database.transaction() as tx:
        await keep_house(TODAY, tx)
    assert len(await toy.ask(ran)) < days + 2

    await toy.rebuild()

    assert await toy.counted() == 2


# --- what no topic tells ------------------------------------------------------------------------


async def test_owned_tables_come_along_with_their_numbers(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()
    await toy.do("INSERT INTO note (id) VALUES ('a'), ('b'), ('c')")
    await toy.do("INSERT INTO remark VALUES ('a', 'first')")
    await toy.do("DELETE FROM note WHERE id = 'b'")

    await toy.rebuild()
    await toy.do("INSERT INTO note (id) VALUES ('d')")

    assert await toy.ask("SELECT id, number FROM note ORDER BY 1") == [("a", 1), ("c", 3), ("d", 4)]
    assert await toy.ask("SELECT * FROM remark") == [("a", "first")]


async def test_what_a_topic_has_forgotten_is_added_from_the_live_table(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()
    await toy.do("INSERT INTO trace VALUES ('long ago')")

    await toy.rebuild()

    assert await toy.ask("SELECT * FROM trace") == [("long ago",)]


async def test_what_waits_to_be_published_keeps_its_numbers(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()
    await toy.do(
        "INSERT INTO outbox (event_id, topic, key, payload)"
        " VALUES ('o 1', 't', 'k', 'p'), ('o 2', 't', 'k', 'p')"
    )
    waiting = "SELECT day, id, xid::text, event_id, created_at FROM outbox ORDER BY id"
    before = await toy.ask(waiting)

    await toy.rebuild()
    await toy.do("INSERT INTO outbox (event_id, topic, key, payload) VALUES ('o 3','t','k','p')")

    after = await toy.ask(waiting)
    assert after[:-1] == before
    assert after[-1][1] > before[-1][1]


class SwappingWriter:
    """Publishes, and while it does the tables are swapped."""

    def __init__(self, toy: ToyService) -> None:
        self._toy = toy
        self.published: list[str] = []

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        self.published += [row.key for row in rows]
        await self._toy.rebuild()


async def test_a_relay_forgets_what_it_published_while_the_tables_were_swapped(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()
    await toy.do("DELETE FROM outbox")
    await toy.do(
        "INSERT INTO outbox (event_id, topic, key, payload) VALUES ('o 1', 't', 'k 1', 'p')"
    )
    writer = SwappingWriter(toy)
    relay = Relay(service="metrics", database=toy.database, writer=writer, holder="test")

    await relay._publish_some(asyncio.Event())

    assert writer.published == ["k 1"]
    assert await toy.ask("SELECT event_id FROM outbox") == []


async def test_dead_letters_keep_their_ids_and_what_was_decided_about_them(toy: ToyService):
    await toy.publish("e 1")
    await toy.publish("x 1", "x 2", value=b"{no event")
    await toy.fold_live()
    await toy.do(
        "UPDATE dead_letter SET discarded_at = now(), discarded_by = 'ann'"
        ' WHERE "offset" = (SELECT min("offset") FROM dead_letter)'
    )
    letters = await toy.ask("SELECT * FROM dead_letter ORDER BY id")

    await toy.rebuild()

    assert await toy.ask("SELECT * FROM dead_letter ORDER BY id") == letters


async def test_nothing_is_parked_behind_a_letter_that_was_discarded(toy: ToyService):
    toy.parks_keys = True
    await toy.publish("e 1")
    await toy.publish("x 1", value=b"{no event")
    await toy.fold_live()
    await toy.do("UPDATE dead_letter SET discarded_at = now(), discarded_by = 'ann'")
    await toy.publish("e 2", "e 3")
    await toy.fold_live()
    assert await toy.counted() == 3

    await toy.rebuild()

    assert await toy.counted() == 3
    assert await toy.ask("SELECT code, discarded_by FROM dead_letter") == [("malformed", "ann")]


async def test_what_is_parked_stays_parked(toy: ToyService):
    toy.parks_keys = True
    await toy.publish("e 1")
    await toy.publish("x 1", value=b"{no event")
    await toy.publish("e 2")
    await toy.fold_live()
    letters = await toy.ask("SELECT * FROM dead_letter ORDER BY id")
    assert len(letters) == 2

    await toy.rebuild()

    assert await toy.counted() == 1
    assert await toy.ask("SELECT * FROM dead_letter ORDER BY id") == letters


# --- different ----------------------------------------------------------------------------------


async def test_a_row_that_was_changed_is_shown_and_nothing_is_swapped(toy: ToyService):
    await toy.publish("e 1", "e 2")
    await toy.fold_live()
    await toy.do("UPDATE tally SET events = 7")

    with pytest.raises(TablesDiffer, match="tally; nothing was swapped"):
        await toy.rebuild()

    assert await toy.counted() == 7
    assert "  only live:    (acme,7,w1)" in toy.said
    assert "  only rebuilt: (acme,2,w1)" in toy.said


async def test_accepted_differences_are_swapped_in(toy: ToyService):
    await toy.publish("e 1", "e 2")
    await toy.fold_live()
    await toy.do("UPDATE tally SET events = 7")

    await toy.rebuild(accept_differences=True)

    assert await toy.counted() == 2


async def test_two_changes_that_cancel_each_other_out_are_found(toy: ToyService):
    await toy.publish("e 1", "e 2")
    await toy.fold_live()
    await toy.do("INSERT INTO tally VALUES ('w0', 'acme', 1)")
    await toy.do("UPDATE tally SET workspace = 'w2' WHERE workspace = 'w1'")

    with pytest.raises(TablesDiffer, match="tally"):
        await toy.rebuild()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tally SET events = 7",
        "DELETE FROM tally",
        "INSERT INTO tally VALUES ('w2', 'acme', 1)",
    ],
)
async def test_a_change_behind_the_first_comparison_is_found_before_the_swap(
    toy: ToyService, monkeypatch: pytest.MonkeyPatch, change: str
):
    await toy.publish("e 1", "e 2")
    await toy.fold_live()
    stop_writers = swap.stop_writers

    async def change_and_stop(*arguments: Any) -> None:
        await toy.do(change)
        await stop_writers(*arguments)

    monkeypatch.setattr(swap, "stop_writers", change_and_stop)

    with pytest.raises(TablesDiffer, match="tally; nothing was swapped"):
        await toy.rebuild()


async def test_records_behind_the_first_comparison_are_folded_and_no_difference(
    toy: ToyService, monkeypatch: pytest.MonkeyPatch
):
    await toy.publish("e 1", "e 2")
    await toy.fold_live()
    stop_consumers = swap.stop_consumers

    async def fold_and_stop(*arguments: Any) -> None:
        monkeypatch.undo()
        await toy.publish("e 2", "e 3")
        await toy.fold_live()
        await stop_consumers(*arguments)

    monkeypatch.setattr(swap, "stop_consumers", fold_and_stop)

    await toy.rebuild()

    assert await toy.counted() == 3


async def test_an_id_that_was_lost_from_the_inbox_is_found(toy: ToyService):
    await toy.publish("e 1", "e 2")
    await toy.fold_live()
    await toy.do("UPDATE inbox SET ids = substring(ids FOR 16)")

    with pytest.raises(TablesDiffer, match="inbox"):
        await toy.rebuild()


async def test_a_fold_that_goes_by_its_batches_is_found(toy: ToyService):
    async def count_batches(tx: Tx, batch: Sequence[Received[Any]]) -> list[Any]:
        return await count_use(tx, batch[:1])

    toy.fold = count_batches
    await toy.publish("e 1", "e 2", "e 3")
    await toy.fold_live(batch_records=1)

    with pytest.raises(TablesDiffer, match="tally"):
        await toy.rebuild()


async def test_a_dry_run_swaps_nothing_and_leaves_the_shadow(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()
    before = await toy.ask("SELECT 'tally'::regclass::oid")

    await toy.rebuild(dry_run=True)

    assert await toy.ask("SELECT 'tally'::regclass::oid") == before
    assert await toy.ask("SELECT events FROM toy_shadow.tally") == [(1,)]


# --- refused ------------------------------------------------------------------------------------


async def forget_begin(toy: ToyService) -> None:
    """Delete the first record of the live topic, as a retention would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=toy.bootstrap)
    await admin.start()
    try:
        place = TopicPartition(toy.live_topic.name, 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=1)})
    finally:
        await admin.close()


async def test_a_log_without_its_begin_is_refused_unless_told_otherwise(toy: ToyService):
    await toy.publish("e 1", "e 2", "e 3")
    await toy.fold_live()
    await forget_begin(toy)

    with pytest.raises(LogBegunLater, match=f"{toy.live_topic.name}/0"):
        await toy.rebuild()
    await toy.rebuild(from_what_is_left=True, accept_differences=True)

    assert await toy.counted() == 2


async def test_a_log_that_ends_before_what_live_has_read_is_refused(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()
    await toy.do("UPDATE consumer_offset SET next_offset = next_offset + 5")

    with pytest.raises(LogEndsEarlier, match=f"{toy.live_topic.name}/0"):
        await toy.rebuild()


async def test_tables_of_another_version_are_refused(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()
    await toy.do("ALTER TABLE tally ADD COLUMN colour text")

    with pytest.raises(NotMigrated):
        await toy.rebuild()


async def test_nothing_is_resumed_where_nothing_was_begun(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()

    with pytest.raises(SchemaUnknown):
        await toy.rebuild(resume=True)


async def test_two_rebuilds_at_once_are_one(toy: ToyService):
    await toy.publish("e 1")
    await toy.fold_live()

    async with alone(toy.service):
        with pytest.raises(RebuildRuns):
            await toy.rebuild()


# --- beside a busy service ----------------------------------------------------------------------


async def test_a_batch_that_is_not_committed_yet_is_waited_for_not_passed_over(
    toy: ToyService, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conduct, "SWAP_TRIES", 2)
    monkeypatch.setattr(conduct, "LOCK_TIMEOUT", "300ms")
    await toy.publish("e 1")
    await toy.fold_live()

    async with toy.database.transaction() as tx:
        await tx.execute(text("UPDATE consumer_offset SET owner = 'slow'"))
        with pytest.raises(LiveTooBusy):
            await toy.rebuild()

    assert await toy.counted() == 1
    await toy.rebuild()
    assert await toy.ask("SELECT DISTINCT owner FROM consumer_offset") == [("slow",)]


async def test_a_batch_that_waits_for_the_swap_goes_to_the_new_tables(toy: ToyService):
    """Its statement was planned on the old table and waits there for the lock."""
    await toy.publish("e 1")
    await toy.fold_live()
    touch = "UPDATE consumer_offset SET owner = :owner"
    single = Database(toy.database_url, schema="toy", settings=DatabaseSettings(pool_size=1))
    for n in range(7):  # often enough to be planned once and for all
        async with single.transaction() as tx:
            await tx.execute(text(touch), {"owner": f"warm {n}"})

    async def wait_and_touch() -> None:
        async with single.transaction() as tx:
            await tx.execute(text(touch), {"owner": "waited"})

    waiting: list[asyncio.Task[None]] = []
    carry_over = carrying.carry_over

    async def carry_over_slowly(*arguments: Any, **named: Any) -> None:
        waiting.append(asyncio.create_task(wait_and_touch()))
        await asyncio.sleep(0.3)
        assert not waiting[0].done(), "it should wait for the lock"
        await carry_over(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carrying, "carry_over", carry_over_slowly)
        await toy.rebuild()
    await waiting[0]
    await single.close()

    assert await toy.ask("SELECT DISTINCT owner FROM consumer_offset") == [("waited",)]


async def held_on(toy: ToyService) -> tuple[Consumer, Database]:
    """A consumer of the live lane that still sees the tables which a rebuild then retired."""
    consumer = await toy.reading()
    await consumer.catch_up(asyncio.Event())
    await toy.rebuild()
    (retired,) = await toy.ask("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'toy_retired%'")
    former = Database(toy.database_url, schema=retired[0], settings=DatabaseSettings())
    consumer._commit.database = former
    return consumer, former


async def test_whoever_holds_on_to_the_retired_tables_is_fenced(toy: ToyService):
    await toy.publish("e 1")
    consumer, former = await held_on(toy)
    await toy.publish("e 2")
    await toy.read_on(consumer)

    await consumer._step(asyncio.Event())

    async with former.transaction() as tx:
        assert [row.events for row in await rows(tx, "SELECT events FROM tally")] == [1]
    await toy.fold_live()
    assert await toy.counted() == 2
    await former.close()
    await consumer._reader.stop()


async def test_with_its_offsets_left_there_it_would_write_to_the_retired_tables(toy: ToyService):
    """The negative control of the test above."""
    await toy.publish("e 1")
    consumer, former = await held_on(toy)
    async with former.transaction() as tx:
        await stand_where_retired(tx, former.schema)
    await toy.publish("e 2")
    await toy.read_on(consumer)

    await consumer._step(asyncio.Event())

    async with former.transaction() as tx:
        assert [row.events for row in await rows(tx, "SELECT events FROM tally")] == [2]
    await former.close()
    await consumer._reader.stop()
