"""Whatever is poisoned, and whenever redrives come in between: every account in its order."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition
from shared.bus.redrive import Redriver
from shared.bus.tables import Filters
from shared.db import Database, rows
from shared.errors import PermanentError
from shared.events.base import Received
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings
from tests.bus.conftest import NOON, Toy, drain, seen, toy_consumer, wire

ACCOUNTS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=25)


class Poisoned(PermanentError):
    code = "poisoned"


def put(log: MemoryLog, account: str, event_id: str) -> None:
    """Append an event; an account keeps its partition."""
    log.append(
        Partition(USAGE.name, ord(account) % 2),
        key=f"w1/{account}".encode(),
        value=wire(event_id, account=account),
        timestamp_ms=int(NOON.timestamp() * 1000),
    )


async def open_letters(database: Database) -> list[str]:
    async with database.transaction() as tx:
        found = await rows(tx, "SELECT id FROM dead_letter WHERE redriven_at IS NULL ORDER BY id")
    return [str(row.id) for row in found]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    accounts=ACCOUNTS,
    poison=st.sets(st.integers(0, 24), max_size=6),
    batch=st.integers(1, 9),
    chance=st.randoms(use_true_random=False),
)
async def test_a_lane_that_parks_applies_every_event_once_and_each_account_in_order(
    database: Database, accounts: list[str], poison: set[int], batch: int, chance: Random
):
    async with database.transaction() as tx:
        await tx.execute(
            text("TRUNCATE seen, consumer_offset, inbox, outbox, dead_letter, dead_letter_audit")
        )
    poisoned = {f"default {number}" for number in poison}

    def failing(events: Sequence[Received[Any]]) -> None:
        if odd := poisoned & {received.envelope.id for received in events}:
            raise Poisoned(f"{sorted(odd)}")

    toy, log = Toy(failing=failing), MemoryLog()
    for account in "abc":
        log.partitions.setdefault(Partition(USAGE.name, ord(account) % 2), [])
    reader = MemoryReader(log)
    consumer = toy_consumer(
        database, toy, reader, settings=KafkaSettings(batch_records=batch), parks_keys=True
    )
    redriver = Redriver(
        service="metrics",
        lanes=[toy.lane(parks_keys=True)],
        database=database,
        workspace="w1",
        by="key-1",
    )

    for number, account in enumerate(accounts):
        put(log, account, f"default {number}")
        if chance.random() < 0.3:
            await drain(consumer, reader)
        if chance.random() < 0.2 and (letters := await open_letters(database)):
            await redriver.redrive_all(chance.sample(letters, min(2, len(letters))))
    await drain(consumer, reader)
    poisoned.clear()
    run = await redriver.redrive_open(Filters(), after=None, limit=100)

    assert run.after is None
    assert await open_letters(database) == []
    applied = defaultdict(list)
    for _, account, event_id in await seen(database):
        applied[account].append(event_id)
    sent = defaultdict(list)
    for number, account in enumerate(accounts):
        sent[account].append(f"default {number}")
    assert applied == sent
