"""A dead letter is applied once its cause is mended: once, by its own workspace, with an audit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.bus import tables
from shared.bus.consumer import Consumer
from shared.bus.handlers import Lane, StateFold
from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition
from shared.bus.redrive import Redriver
from shared.bus.tables import Filters
from shared.bus.verdicts import (
    AlreadyDiscarded,
    AlreadyRedriven,
    DeadLetterUnknown,
    EarlierLetterOpen,
    LaneGone,
    Outcome,
)
from shared.db import Database, DatabaseUnavailable, Tx, rows
from shared.errors import PermanentError
from shared.events.base import Caused, Received
from shared.events.ingest import USAGE, UsageTracked
from shared.settings import KafkaSettings
from tests.bus.conftest import NOON, Toy, append, dead, drain, log_of, seen, toy_consumer, wire

EVERY = Filters()


class TooOdd(PermanentError):
    code = "too_odd"


def refuse_all(_: object) -> None:
    raise TooOdd("not today")


def refuse(*event_ids: str) -> Callable[[Sequence[Received[Any]]], None]:
    """A fold that cannot apply the events with these ids."""

    def failing(batch: Sequence[Received[Any]]) -> None:
        if odd := {received.envelope.id for received in batch} & set(event_ids):
            raise TooOdd(f"odd: {sorted(odd)}")

    return failing


async def give_up(database: Database, *values: bytes, **lane: Any) -> list[str]:
    """Ids of the dead letters that `values` become, in order."""
    reader = MemoryReader(log_of(values))
    await drain(toy_consumer(database, Toy(failing=refuse_all), reader, **lane), reader)
    return await letter_ids(database)


async def letter_ids(database: Database) -> list[str]:
    async with database.transaction() as tx:
        found = await rows(tx, 'SELECT id FROM dead_letter ORDER BY topic, part, "offset"')
    return [str(row.id) for row in found]


def redriver(
    database: Database, toy: Toy | None = None, *, workspace: str | None = "w1", **lane: Any
) -> Redriver:
    return Redriver(
        service="metrics",
        lanes=[(toy or Toy()).lane(**lane)],
        database=database,
        workspace=workspace,
        by="key-1",
    )


async def audit(database: Database) -> list[tuple[str, str, str, str | None]]:
    async with database.transaction() as tx:
        found = await rows(tx, "SELECT by, action, outcome, message FROM dead_letter_audit")
    return [(row.by, row.action, row.outcome, row.message) for row in found]


async def contents(database: Database) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    async with database.transaction() as tx:
        tables = await rows(
            tx,
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = current_schema()::regnamespace ORDER BY relname",
        )
        return {
            table.relname: [
                row.row for row in await rows(tx, f"SELECT t::text AS row FROM {table.relname} t")
            ]
            for table in tables
        }


# --- one letter ----------------------------------------------------------------------------------


async def test_a_mended_fold_applies_the_dead_letter_once(database: Database):
    (letter,) = await give_up(database, wire("default 1"))

    verdict = await redriver(database).redrive(letter)

    assert (verdict.id, verdict.outcome, verdict.code) == (letter, Outcome.APPLIED, None)
    assert await seen(database) == [("w1", "acme", "default 1")]
    with pytest.raises(AlreadyRedriven):
        await redriver(database).redrive(letter)
    assert len(await seen(database)) == 1
    assert await audit(database) == [("key-1", "redrive", "applied", None)]


async def test_a_fold_that_still_fails_leaves_a_note_and_no_effect(database: Database):
    (letter,) = await give_up(database, wire("default 1"))

    verdict = await redriver(database, Toy(failing=refuse("default 1"))).redrive(letter)

    assert (verdict.outcome, verdict.code) == (Outcome.STILL_BROKEN, "too_odd")
    assert await seen(database) == []
    async with database.transaction() as tx:
        (row,) = await rows(tx, "SELECT redriven_at, last_tried_at FROM dead_letter")
        (ids,) = await rows(tx, "SELECT count(*) AS n FROM inbox")
    assert row.redriven_at is None
    assert row.last_tried_at is not None
    assert ids.n == 0
    assert await audit(database) == [
        ("key-1", "redrive", "still_broken", "too_odd: odd: ['default 1']")
    ]
    assert (await redriver(database).redrive(letter)).outcome is Outcome.APPLIED
    assert len(await seen(database)) == 1


async def test_an_event_that_was_applied_meanwhile_is_a_duplicate(database: Database):
    (letter,) = await give_up(database, wire("default 1"))
    log = log_of([wire("default 1"), wire("default 1")])
    reader = MemoryReader(log)
    await drain(toy_consumer(database, Toy(), reader), reader)

    verdict = await redriver(database).redrive(letter)

    assert verdict.outcome is Outcome.DUPLICATE
    assert len(await seen(database)) == 1
    with pytest.raises(AlreadyRedriven):
        await redriver(database).redrive(letter)


async def test_a_repeat_that_comes_after_the_redrive_is_dropped(database: Database):
    log = log_of([wire("default 1")])
    reader = MemoryReader(log)
    toy = Toy(failing=refuse_all)
    consumer = toy_consumer(database, toy, reader)
    await drain(consumer, reader)
    (letter,) = await letter_ids(database)
    await redriver(database).redrive(letter)
    toy.failing = lambda _: None
    append(log, [wire("default 1"), wire("default 2")])

    await drain(consumer, reader)

    assert [event_id for _, _, event_id in await seen(database)] == ["default 1", "default 2"]


async def test_another_workspace_cannot_see_it(database: Database):
    (letter,) = await give_up(database, wire("default 1"))

    for other in ("w2", ""):
        for attempt in (
            redriver(database, workspace=other).redrive(letter),
            redriver(database, workspace=other).rehearse(letter),
            redriver(database, workspace=other).discard(letter, why="not mine"),
        ):
            with pytest.raises(DeadLetterUnknown):
                await attempt
    with pytest.raises(DeadLetterUnknown):
        await redriver(database).redrive("no uuid at all")
    run = await redriver(database, workspace="w2").redrive_open(EVERY, after=None, limit=10)
    assert run.verdicts == []
    assert await audit(database) == []


async def test_a_letter_without_workspace_is_the_operators_alone(database: Database):
    log = MemoryLog()
    log.append(Partition(USAGE.name, 0), key=None, value=b"{", timestamp_ms=0)
    reader = MemoryReader(log)
    await drain(toy_consumer(database, Toy(), reader), reader)
    (letter,) = await letter_ids(database)

    with pytest.raises(DeadLetterUnknown):
        await redriver(database, workspace="w1").redrive(letter)
    verdict = await redriver(database, workspace=None).redrive(letter)

    assert (verdict.outcome, verdict.code) == (Outcome.STILL_BROKEN, "malformed")


async def test_bytes_that_are_no_event_stay_dead_and_keep_their_workspace(database: Database):
    (letter,) = await give_up(database, b"{broken")

    verdict = await redriver(database, workspace="w1").redrive(letter)

    assert (verdict.outcome, verdict.code) == (Outcome.STILL_BROKEN, "malformed")


async def test_a_letter_of_a_lane_that_is_gone_is_refused(database: Database):
    (letter,) = await give_up(database, wire("default 1"))
    without = Redriver(
        service="metrics", lanes=[], database=database, workspace=None, by="operator"
    )

    with pytest.raises(LaneGone):
        await without.redrive(letter)
    run = await without.redrive_open(EVERY, after=None, limit=10)

    assert [(verdict.outcome, verdict.code) for verdict in run.verdicts] == [
        (Outcome.REFUSED, "lane_gone")
    ]


async def test_a_letter_of_a_type_that_nobody_folds_any_more_stays(database: Database):
    (letter,) = await give_up(database, wire("default 1"))
    lane = Toy().lane()
    deaf = Redriver(
        service="metrics",
        lanes=[type(lane)(name=lane.name, topics=lane.topics, folds=())],
        database=database,
        workspace="w1",
        by="key-1",
    )

    verdict = await deaf.redrive(letter)

    assert (verdict.outcome, verdict.code) == (Outcome.STILL_BROKEN, "not_folded")


async def test_a_letter_is_folded_with_its_own_append_time_headers_and_place(database: Database):
    folded: list[Received[Any]] = []
    (letter,) = await give_up(database, wire("default 1"))

    await redriver(database, Toy(failing=folded.extend)).redrive(letter)

    (received,) = folded
    assert received.appended_at == NOON
    assert (received.topic, received.partition, received.offset) == (USAGE.name, 0, 0)


async def test_what_a_redriven_event_causes_is_queued_for_the_relay(database: Database):
    (letter,) = await give_up(database, wire("default 1"))
    toy = Toy()

    async def fold(tx: Tx, batch: Sequence[Received[Any]]) -> list[Caused]:
        await Toy.fold(toy, tx, batch)
        return [
            Caused(
                event=UsageTracked(event="Echo", feature="Echo"),
                workspace=received.envelope.workspace,
                cause_id=received.envelope.id,
                time=NOON,
                subject="acme",
            )
            for received in batch
        ]

    toy.fold = fold  # type: ignore[method-assign]
    await redriver(database, toy).redrive(letter)

    async with database.transaction() as tx:
        found = await rows(tx, "SELECT topic, key FROM outbox WHERE topic = :t", {"t": USAGE.name})
    assert [(row.topic, row.key) for row in found] == [(USAGE.name, "w1/acme")]


async def test_a_letter_whose_inbox_day_is_gone_is_redriven_once(database: Database):
    log = MemoryLog()
    long_ago = datetime.now(UTC) - timedelta(days=40)
    log.append(
        Partition(USAGE.name, 0),
        key=b"w1/acme",
        value=wire("default 1", time=long_ago),
        timestamp_ms=int(long_ago.timestamp() * 1000),
    )
    reader = MemoryReader(log)
    await drain(toy_consumer(database, Toy(failing=refuse_all), reader), reader)
    async with database.transaction() as tx:
        await tx.execute(text(f"DROP TABLE IF EXISTS inbox_{long_ago:%Y%m%d}"))
    (letter,) = await letter_ids(database)

    first = await redriver(database).redrive(letter)

    assert first.outcome is Outcome.APPLIED
    with pytest.raises(AlreadyRedriven):
        await redriver(database).redrive(letter)
    assert len(await seen(database)) == 1


# --- at the same time ----------------------------------------------------------------------------


async def test_two_redrives_at_once_apply_once_and_the_second_is_told(database: Database):
    (letter,) = await give_up(database, wire("default 1"))

    outcomes = await asyncio.gather(
        redriver(database).redrive(letter),
        Redriver(
            service="metrics",
            lanes=[Toy().lane()],
            database=database,
            workspace="w1",
            by="key-2",
        ).redrive(letter),
        return_exceptions=True,
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyRedriven", "Verdict"]
    assert len(await seen(database)) == 1
    assert len(await audit(database)) == 1


async def test_redrives_beside_a_consumer_of_the_same_account_lose_and_double_nothing(
    database: Database,
):
    given_up = [wire(f"default {n}") for n in range(20)]
    letters = await give_up(database, *given_up)
    log = log_of([*given_up, *(wire(f"default {n}") for n in range(20, 200))])
    reader = MemoryReader(log)
    consumer = toy_consumer(database, Toy(), reader)

    await asyncio.gather(
        drain(consumer, reader),
        *(redriver(database).redrive_all(letters[start::4]) for start in range(4)),
    )

    applied = [event_id for _, _, event_id in await seen(database)]
    assert sorted(applied) == sorted(f"default {n}" for n in range(200))


async def test_redrives_take_turns_with_a_consumer_that_locks_the_same_row(database: Database):
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE counted (account text PRIMARY KEY, n integer)"))

    async def load(tx: Tx, keys: Collection[str]) -> dict[str, int]:
        for key in sorted(keys):
            await tx.execute(
                text("INSERT INTO counted VALUES (:key, 0) ON CONFLICT DO NOTHING"), {"key": key}
            )
        found = await rows(tx, "SELECT account, n FROM counted ORDER BY account FOR UPDATE")
        return {row.account: row.n for row in found}

    async def save(tx: Tx, states: Mapping[str, int]) -> None:
        for key, n in states.items():
            await tx.execute(
                text("UPDATE counted SET n = :n WHERE account = :key"), {"key": key, "n": n}
            )

    fold = StateFold[str, int](
        on={UsageTracked: lambda n, _: (n + 1, ())},
        key=lambda received: received.envelope.subject,
        load=load,
        save=save,
    )
    lane = Lane(name="live", topics=(USAGE,), folds=(fold,))
    given_up = [wire(f"default {n}") for n in range(20)]
    letters = await give_up(database, *given_up)
    reader = MemoryReader(log_of([*given_up, *(wire(f"default {n}") for n in range(20, 120))]))
    consumer = Consumer(
        service="metrics",
        lane=lane,
        database=database,
        reader=reader,
        settings=KafkaSettings(batch_records=7),
        owner="test",
    )

    await asyncio.gather(
        drain(consumer, reader),
        *(
            Redriver(
                service="metrics", lanes=[lane], database=database, workspace="w1", by="key-1"
            ).redrive_all(letters[start::2])
            for start in range(2)
        ),
    )

    async with database.transaction() as tx:
        (counted,) = await rows(tx, "SELECT n FROM counted")
    assert counted.n == 120


async def test_a_passing_fault_is_tried_again(database: Database):
    (letter,) = await give_up(database, wire("default 1"))
    faults = iter([DatabaseUnavailable("gone"), None])

    def failing(_: object) -> None:
        if (fault := next(faults)) is not None:
            raise fault

    verdict = await redriver(database, Toy(failing=failing)).redrive(letter)

    assert verdict.outcome is Outcome.APPLIED
    assert len(await seen(database)) == 1


async def test_a_redrive_whose_commit_stood_though_its_reply_was_lost_is_applied(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    (letter,) = await give_up(database, wire("default 1"))
    whole, lost = database.transaction, iter([True])

    @asynccontextmanager
    async def losing() -> AsyncIterator[Tx]:
        async with whole() as tx:
            yield tx
        if next(lost, False):
            raise DatabaseUnavailable("connection lost at commit")

    monkeypatch.setattr(database, "transaction", losing)

    verdict = await redriver(database).redrive(letter)

    assert verdict.outcome is Outcome.APPLIED
    assert len(await seen(database)) == len(await audit(database)) == 1


# --- several letters -----------------------------------------------------------------------------


async def test_letters_are_redriven_in_the_order_of_the_log(database: Database):
    letters = await give_up(database, *(wire(f"default {n}") for n in range(5)))

    run = await redriver(database).redrive_open(EVERY, after=None, limit=10)

    assert [verdict.id for verdict in run.verdicts] == letters
    assert run.after is None
    assert [event_id for _, _, event_id in await seen(database)] == [
        f"default {n}" for n in range(5)
    ]


async def test_one_that_still_fails_holds_up_no_other(database: Database):
    await give_up(database, *(wire(f"default {n}") for n in range(5)))

    run = await redriver(database, Toy(failing=refuse("default 2"))).redrive_open(
        EVERY, after=None, limit=10
    )

    assert [verdict.outcome for verdict in run.verdicts] == [
        Outcome.APPLIED,
        Outcome.APPLIED,
        Outcome.STILL_BROKEN,
        Outcome.APPLIED,
        Outcome.APPLIED,
    ]
    assert len(await seen(database)) == 4


async def test_runs_go_on_behind_the_last_letter_also_past_broken_ones(database: Database):
    await give_up(database, *(wire(f"default {n}") for n in range(5)))
    redriving = redriver(database, Toy(failing=refuse("default 0", "default 1")))
    outcomes: list[Outcome] = []
    after = None

    while True:
        run = await redriving.redrive_open(EVERY, after=after, limit=2)
        outcomes += [verdict.outcome for verdict in run.verdicts]
        after = run.after
        if after is None:
            break

    assert outcomes == [Outcome.STILL_BROKEN] * 2 + [Outcome.APPLIED] * 3


async def test_a_run_that_takes_too_long_answers_what_it_has_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    letters = await give_up(database, wire("default 1"), wire("default 2"))
    monkeypatch.setattr("shared.bus.redrive.BUDGET_SECONDS", 0.0)

    first = await redriver(database).redrive_open(EVERY, after=None, limit=10)
    second = await redriver(database).redrive_open(EVERY, after=first.after, limit=10)

    assert [verdict.id for verdict in first.verdicts] == letters[:1]
    assert [verdict.id for verdict in second.verdicts] == letters[1:]
    assert second.after is None


async def test_a_run_that_meets_a_lasting_fault_answers_what_it_has_done(database: Database):
    await give_up(database, wire("default 1"), wire("default 2"))

    def failing(batch: Sequence[Received[Any]]) -> None:
        if batch[0].envelope.id == "default 2":
            raise DatabaseUnavailable("gone")

    redriving = redriver(database, Toy(failing=failing))
    run = await redriving.redrive_open(EVERY, after=None, limit=10)

    assert [verdict.outcome for verdict in run.verdicts] == [Outcome.APPLIED]
    assert run.after is not None
    with pytest.raises(DatabaseUnavailable):
        await redriving.redrive_open(EVERY, after=run.after, limit=10)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(code="too_odd"), [0]),
        (Filters(code="malformed"), [1]),
        (Filters(code="unheard_of"), []),
        (Filters(lane="live"), [0, 1, 2]),
        (Filters(lane="history"), []),
        (Filters(event_type=UsageTracked.type), [0, 2]),
        (Filters(event_type="usage.page_viewed.v1"), []),
        (Filters(code="other", lane="live", event_type=UsageTracked.type), [2]),
        (Filters(code="other", lane="history"), []),
    ],
)
async def test_only_what_meets_every_filter_is_tried(
    database: Database, filters: Filters, wanted: list[int]
):
    letters = await give_up(database, wire("default 0"), b"{", wire("default 2"))
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE dead_letter SET code = 'other' WHERE event_id = 'default 2'"))

    run = await redriver(database).redrive_open(filters, after=None, limit=10)

    assert [verdict.id for verdict in run.verdicts] == [letters[index] for index in wanted]


async def test_a_time_range_counts_when_the_record_was_given_up_its_end_excluded(
    database: Database,
):
    await give_up(database, *(wire(f"default {n}") for n in range(3)))
    async with database.transaction() as tx:
        await tx.execute(
            text(
                "UPDATE dead_letter SET dead_at = CAST(:noon AS timestamptz)"
                " + \"offset\" * interval '1 hour'"
            ),
            {"noon": NOON},
        )

    await redriver(database).redrive_open(
        Filters(since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=2)),
        after=None,
        limit=10,
    )

    assert [event_id for _, _, event_id in await seen(database)] == ["default 1"]


async def test_named_letters_are_answered_for_one_by_one(database: Database):
    first, second = await give_up(database, wire("default 1"), wire("default 2"))
    await redriver(database).redrive(first)
    unknown = "00000000-0000-0000-0000-000000000000"

    verdicts = await redriver(database).redrive_all([unknown, second, first])

    assert [(verdict.id, verdict.outcome, verdict.code) for verdict in verdicts] == [
        (first, Outcome.REFUSED, "already_redriven"),
        (second, Outcome.APPLIED, None),
        (unknown, Outcome.REFUSED, "dead_letter_unknown"),
    ]


# --- rehearsal -----------------------------------------------------------------------------------


async def test_a_rehearsal_says_what_would_happen_and_leaves_every_table_as_it_was(
    database: Database,
):
    letters = await give_up(database, wire("default 1"), b"{", wire("default 2"))
    before = await contents(database)
    redriving = redriver(database, Toy(failing=refuse("default 2")))

    run = await redriving.rehearse_open(EVERY, after=None, limit=10)
    one = await redriving.rehearse(letters[0])
    named = await redriving.rehearse_all(letters)

    wanted = [
        (letters[0], Outcome.APPLIED, None),
        (letters[1], Outcome.STILL_BROKEN, "malformed"),
        (letters[2], Outcome.STILL_BROKEN, "too_odd"),
    ]
    assert [(verdict.id, verdict.outcome, verdict.code) for verdict in run.verdicts] == wanted
    assert (one.outcome, one.code) == (Outcome.APPLIED, None)
    assert named == run.verdicts
    assert await contents(database) == before


async def test_a_rehearsal_of_letters_with_one_id_sees_the_second_as_a_duplicate(
    database: Database,
):
    await give_up(database, wire("default 1"), wire("default 1"))

    run = await redriver(database).rehearse_open(EVERY, after=None, limit=10)

    assert [verdict.outcome for verdict in run.verdicts] == [Outcome.APPLIED, Outcome.DUPLICATE]


# --- parking -------------------------------------------------------------------------------------


async def parked(database: Database) -> list[str]:
    """Three letters of one key, the second and third parked behind the first."""
    log = log_of([wire(f"default {n}") for n in range(3)])
    reader = MemoryReader(log)
    toy = Toy(failing=refuse("default 0"))
    await drain(toy_consumer(database, toy, reader, parks_keys=True), reader)
    assert await dead(database) == [(0, "too_odd"), (1, "parked"), (2, "parked")]
    return await letter_ids(database)


async def test_a_parked_letter_is_refused_while_an_earlier_one_is_open(database: Database):
    first, second, third = await parked(database)
    redriving = redriver(database, parks_keys=True)

    for early in (third, second):
        with pytest.raises(EarlierLetterOpen):
            await redriving.redrive(early)
    await redriving.redrive(first)
    with pytest.raises(EarlierLetterOpen):
        await redriving.redrive(third)
    await redriving.redrive(second)
    await redriving.redrive(third)

    assert [event_id for _, _, event_id in await seen(database)] == [
        f"default {n}" for n in range(3)
    ]


async def test_one_run_redrives_a_key_from_its_first_letter_on(database: Database):
    await parked(database)

    run = await redriver(database, parks_keys=True).redrive_open(EVERY, after=None, limit=10)

    assert [verdict.outcome for verdict in run.verdicts] == [Outcome.APPLIED] * 3
    assert [event_id for _, _, event_id in await seen(database)] == [
        f"default {n}" for n in range(3)
    ]


async def test_a_rehearsal_lets_parked_letters_meet_the_state_that_the_first_would_leave(
    database: Database,
):
    await parked(database)
    redriving = redriver(database, parks_keys=True)

    run = await redriving.rehearse_open(EVERY, after=None, limit=10)
    still = await redriver(
        database, Toy(failing=refuse("default 0")), parks_keys=True
    ).rehearse_open(EVERY, after=None, limit=10)

    assert [verdict.outcome for verdict in run.verdicts] == [Outcome.APPLIED] * 3
    assert [(verdict.outcome, verdict.code) for verdict in still.verdicts] == [
        (Outcome.STILL_BROKEN, "too_odd"),
        (Outcome.REFUSED, "earlier_letter_open"),
        (Outcome.REFUSED, "earlier_letter_open"),
    ]


async def test_a_discarded_letter_frees_its_key_and_is_never_applied(database: Database):
    first, second, third = await parked(database)
    redriving = redriver(database, parks_keys=True)

    await redriving.discard(first, why="sent by a test")
    with pytest.raises(AlreadyDiscarded):
        await redriving.redrive(first)
    with pytest.raises(AlreadyDiscarded):
        await redriving.discard(first, why="again")
    await redriving.redrive_all([second, third])

    assert [event_id for _, _, event_id in await seen(database)] == ["default 1", "default 2"]
    assert (await audit(database))[0] == ("key-1", "discard", "discarded", "sent by a test")
    with pytest.raises(AlreadyRedriven):
        await redriving.discard(second, why="too late")


# --- ids that are about to be forgotten ----------------------------------------------------------


async def test_a_letter_whose_copy_was_applied_is_closed_before_that_is_forgotten(
    database: Database,
):
    now = datetime.now(UTC)
    old = now - timedelta(days=40)
    log = MemoryLog()

    def send(event_id: str, at: datetime = old) -> None:
        log.append(
            Partition(USAGE.name, 0),
            key=b"w1/acme",
            value=wire(event_id, time=at),
            timestamp_ms=int(at.timestamp() * 1000),
        )

    reader = MemoryReader(log)
    toy = Toy(failing=refuse_all)
    consumer = toy_consumer(database, toy, reader)
    send("default 1")
    send("default 2")
    await drain(consumer, reader)
    toy.failing = lambda _: None
    send("default 1")
    send("default 3", at=now)  # the window is counted from the newest day
    await drain(consumer, reader)
    first, second = await letter_ids(database)

    async with database.transaction() as tx:
        await tables.forget_old_ids(tx, now)
        kept = await rows(tx, "SELECT DISTINCT day FROM inbox")

    assert [row.day for row in kept] == [now.date()]
    with pytest.raises(AlreadyRedriven):
        await redriver(database).redrive(first)
    assert (await redriver(database).redrive(second)).outcome is Outcome.APPLIED
    applied = [event_id for _, _, event_id in await seen(database)]
    assert applied == ["default 1", "default 3", "default 2"]
    assert (await audit(database))[0][:3] == ("runtime", "redrive", "duplicate")
