"""What a dead letter keeps, how a lane parks behind one, and how letters are listed."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from shared.bus import tables
from shared.bus.breaker import LaneStopped
from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition
from shared.bus.tables import Filters, LetterState
from shared.bus.tables.dead_letters import headers_json, headers_of
from shared.db import Database, Tx, rows
from shared.errors import PermanentError
from shared.events.base import Caused, Received
from shared.events.ingest import USAGE, UsageTracked
from shared.settings import KafkaSettings
from shared.version import code_version
from tests.bus.conftest import NOON, Toy, append, dead, drain, log_of, seen, toy_consumer, wire

EVERY = Filters()


class TooOdd(PermanentError):
    code = "too_odd"


def refuse(*event_ids: str) -> Any:
    """A fold that can never apply the events with these ids."""

    def failing(batch: Sequence[Received[Any]]) -> None:
        if odd := {received.envelope.id for received in batch} & set(event_ids):
            raise TooOdd(f"odd: {sorted(odd)}")

    return failing


def put(log: MemoryLog, *values: bytes, key: bytes | None, topic: str = USAGE.name) -> None:
    """Append these values under one key."""
    for value in values:
        log.append(
            Partition(topic, 0), key=key, value=value, timestamp_ms=int(NOON.timestamp() * 1000)
        )


async def letters(database: Database) -> list[Any]:
    """Every column of every letter, by place."""
    async with database.transaction() as tx:
        return await rows(tx, 'SELECT * FROM dead_letter ORDER BY topic, part, "offset"')


# --- what it keeps -------------------------------------------------------------------------------


async def test_a_letter_keeps_all_that_is_needed_to_judge_and_to_fold_it(database: Database):
    value = wire("default 1")
    reader = MemoryReader(log_of([wire("default 0"), value]))

    await drain(toy_consumer(database, Toy(failing=refuse("default 1")), reader), reader)

    (letter,) = await letters(database)
    assert (letter.lane, letter.topic, letter.part, letter.offset) == ("live", USAGE.name, 0, 1)
    assert (bytes(letter.key), bytes(letter.value)) == (b"w1/acme", value)
    assert headers_of(letter.headers) == [("content-type", b"application/cloudevents+json")]
    assert (letter.workspace, letter.event_id) == ("w1", "default 1")
    assert letter.event_type == UsageTracked.type
    assert (letter.code, letter.message) == ("too_odd", "odd: ['default 1']")
    assert letter.error_class.endswith(".TooOdd")
    assert letter.code_version == code_version()
    assert letter.appended_at == NOON
    assert letter.dead_at > NOON
    assert letter.behind is None


async def test_a_database_error_is_told_by_its_state_and_class_without_the_events_values(
    database: Database,
):
    toy = Toy()

    async def broken(tx: Tx, _: Sequence[Received[Any]]) -> list[Caused]:
        await tx.execute(
            text("INSERT INTO consumer_offset VALUES ('g', 't', 0, -1, :secret)"),
            {"secret": "a person's name"},
        )
        return []

    toy.fold = broken  # type: ignore[method-assign,assignment]
    reader = MemoryReader(log_of([wire("default 1")]))

    await drain(toy_consumer(database, toy, reader), reader)

    (letter,) = await letters(database)
    assert letter.code == "sqlstate_23514"
    assert letter.error_class == "asyncpg.exceptions.CheckViolationError"
    assert "consumer_offset" in letter.message
    assert "INSERT INTO" not in letter.message
    assert "a person's name" not in letter.message


async def test_hundreds_of_letters_of_one_batch_are_kept(database: Database):
    reader = MemoryReader(log_of([b"{"] * 700))
    settings = KafkaSettings(dead_letters_in_a_row=1000)

    await drain(toy_consumer(database, Toy(), reader, settings=settings), reader)

    assert await dead(database) == [(offset, "malformed") for offset in range(700)]


async def test_what_postgres_cannot_store_as_text_still_becomes_a_letter(database: Database):
    odd = wire("a\x00b", workspace="w\x001").replace(b'"event":"Export"', b'"event":7')
    log = MemoryLog()
    put(log, odd, key=b"w\x001/acme")
    put(log, b"{", key=b"\x00\xff")
    put(log, b"{", key=None)
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader), reader)

    found = await letters(database)
    assert [letter.code for letter in found] == ["schema_violation", "malformed", "malformed"]
    assert [letter.workspace for letter in found] == ["w\ufffd1", "\ufffd\ufffd", None]
    assert bytes(found[0].value) == odd


async def test_a_key_longer_than_an_index_takes_becomes_a_letter_and_parks(database: Database):
    key = b"w1/" + Random(1).randbytes(10_000)  # nothing that compresses
    log = MemoryLog()
    put(log, b"{", wire("default 1"), key=key)
    put(log, b"{", key=b"w" * 10_000)
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader, parks_keys=True), reader)

    assert await dead(database) == [(0, "malformed"), (1, "parked"), (2, "malformed")]
    assert bytes((await letters(database))[0].key) == key


async def test_the_same_record_is_one_letter_however_often_it_is_given_up(database: Database):
    for _ in range(2):
        reader = MemoryReader(log_of([b"{"]))
        await drain(toy_consumer(database, Toy(), reader), reader)
        async with database.transaction() as tx:
            await tx.execute(text("DELETE FROM consumer_offset"))
            told = await rows(tx, "SELECT payload FROM outbox WHERE topic = 'metrics.runtime.v1'")

    (letter,) = await letters(database)
    named = {
        event["data"]["dead_letter"]
        for event in (msgspec.json.decode(row.payload) for row in told)
        if event["type"] == "metrics.dead_lettered.v1"
    }
    assert named == {str(letter.id)}


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_characters="\x00", codec="utf-8")), st.binary()),
        max_size=5,
    )
)
@example([("", b"\\u0000")])
def test_headers_are_kept_byte_for_byte(headers: list[tuple[str, bytes]]):
    pairs = msgspec.json.decode(headers_json(headers))

    assert not any("\x00" in (part or "") for pair in pairs for part in pair)  # jsonb refuses it
    assert headers_of(pairs) == headers


# --- parking -------------------------------------------------------------------------------------


async def test_a_lane_that_skips_goes_on_behind_a_dead_letter(database: Database):
    reader = MemoryReader(log_of([wire(f"default {n}") for n in range(4)]))

    await drain(toy_consumer(database, Toy(failing=refuse("default 1")), reader), reader)

    assert await dead(database) == [(1, "too_odd")]
    assert [event_id for _, _, event_id in await seen(database)] == [
        "default 0",
        "default 2",
        "default 3",
    ]


@pytest.mark.parametrize("batch_records", [1, 2, 3, 100])
async def test_a_lane_that_parks_holds_back_the_key_and_no_other(
    database: Database, batch_records: int
):
    log = MemoryLog()
    put(log, wire("default 0"), wire("default 1"), key=b"w1/acme")
    put(log, wire("other 0", account="other"), key=b"w1/other")
    put(log, wire("default 2"), key=b"w1/acme")
    put(log, wire("other 1", account="other"), key=b"w1/other")
    reader = MemoryReader(log)
    consumer = toy_consumer(
        database,
        Toy(failing=refuse("default 1")),
        reader,
        settings=KafkaSettings(batch_records=batch_records),
        parks_keys=True,
    )

    await drain(consumer, reader)

    assert await dead(database) == [(1, "too_odd"), (3, "parked")]
    first, second = await letters(database)
    assert second.behind == first.id
    assert [event_id for _, _, event_id in await seen(database)] == [
        "default 0",
        "other 0",
        "other 1",
    ]


async def test_a_malformed_record_parks_what_follows_it_in_the_same_batch(database: Database):
    log = MemoryLog()
    put(log, wire("default 0"), b"{", wire("default 1"), b"{", key=b"w1/acme")
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader, parks_keys=True), reader)

    assert await dead(database) == [(1, "malformed"), (2, "parked"), (3, "malformed")]
    found = await letters(database)
    assert [letter.behind for letter in found] == [None, found[0].id, found[0].id]
    assert [event_id for _, _, event_id in await seen(database)] == ["default 0"]


async def test_an_event_that_nobody_folds_waits_for_nothing(database: Database):
    unheard = wire("default 1").replace(UsageTracked.type.encode(), b"usage.unheard_of.v1")
    log = MemoryLog()
    put(log, b"{", unheard, key=b"w1/acme")
    reader = MemoryReader(log)

    await drain(toy_consumer(database, Toy(), reader, parks_keys=True), reader)

    assert await dead(database) == [(0, "malformed")]


async def test_a_key_is_free_again_once_all_its_letters_are_decided(database: Database):
    log = MemoryLog()
    put(log, b"{", wire("default 1"), key=b"w1/acme")
    reader = MemoryReader(log)
    consumer = toy_consumer(database, Toy(), reader, parks_keys=True)
    await drain(consumer, reader)
    async with database.transaction() as tx:
        for letter in await letters(database):
            await tables.save_discarded(tx, str(letter.id), by="somebody")
    put(log, wire("default 2"), key=b"w1/acme")

    await drain(consumer, reader)

    assert [event_id for _, _, event_id in await seen(database)] == ["default 2"]


async def test_lanes_park_each_for_itself(database: Database):
    reader = MemoryReader(log_of([b"{"]))
    await drain(toy_consumer(database, Toy(), reader, parks_keys=True), reader)

    async with database.transaction() as tx:
        live = await tables.list_parked_keys(tx, "live", {b"w1/acme", b"w1/other"})
        other = await tables.list_parked_keys(tx, "other", {b"w1/acme"})

    (letter,) = await letters(database)
    assert live == {b"w1/acme": str(letter.id)}
    assert other == {}


async def test_parked_records_do_not_trip_the_breaker_and_faults_of_their_own_do(
    database: Database,
):
    settings = KafkaSettings(dead_letters_in_a_row=5, batch_records=4)
    log = MemoryLog()
    put(log, b"{", *(wire(f"default {n}") for n in range(50)), key=b"w1/acme")
    reader = MemoryReader(log)
    consumer = toy_consumer(database, Toy(), reader, settings=settings, parks_keys=True)
    await drain(consumer, reader)
    assert len(await dead(database)) == 51
    append(log, [b"{"] * 5)

    with pytest.raises(LaneStopped):
        await drain(consumer, reader)


# --- lists ---------------------------------------------------------------------------------------


async def test_pages_hold_every_dead_letter_once_though_a_batch_shares_its_time(database: Database):
    reader = MemoryReader(log_of([b"{"] * 7))
    await drain(toy_consumer(database, Toy(), reader), reader)
    found: list[str] = []
    after = None

    async with database.transaction() as tx:
        while page := await tables.list_dead_letters(
            tx, "w1", EVERY, after=after, limit=3, shown_bytes=10
        ):
            found += [str(row.id) for row in page]
            after = (page[-1].dead_at, str(page[-1].id))
        others = await tables.list_dead_letters(
            tx, "w2", EVERY, after=None, limit=3, shown_bytes=10
        )

    assert len(found) == len(set(found)) == 7
    assert others == []


async def test_a_list_leaves_out_records_that_are_larger_than_asked_for(database: Database):
    reader = MemoryReader(log_of([b"{" * 10, b"{" * 11]))
    await drain(toy_consumer(database, Toy(), reader), reader)

    async with database.transaction() as tx:
        found = await tables.list_dead_letters(tx, "w1", EVERY, after=None, limit=3, shown_bytes=10)

    shown = {row.offset: (row.size_bytes, row.value) for row in found}
    assert shown == {0: (10, b"{" * 10), 1: (11, None)}


async def test_letters_are_listed_by_what_was_decided_about_them(database: Database):
    reader = MemoryReader(log_of([b"{"] * 3))
    await drain(toy_consumer(database, Toy(), reader), reader)
    redriven, discarded, _ = await letters(database)
    async with database.transaction() as tx:
        await tables.save_redriven(tx, str(redriven.id), by="key-1")
        await tables.save_discarded(tx, str(discarded.id), by="key-1")

        listed = {
            state: [
                row.offset
                for row in await tables.list_dead_letters(
                    tx, "w1", Filters(state=state), after=None, limit=9, shown_bytes=0
                )
            ]
            for state in LetterState
        }

    assert listed == {LetterState.REDRIVEN: [0], LetterState.DISCARDED: [1], LetterState.OPEN: [2]}
