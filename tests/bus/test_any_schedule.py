"""Whatever the schedule of batches, repeats, restarts and faults, the effect is the same."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shared.bus.memory import MemoryLog, MemoryReader
from shared.db import Database, DatabaseUnavailable
from shared.events.base import Received
from shared.settings import KafkaSettings
from tests.bus.conftest import Toy, append, drain, offsets, seen, toy_consumer, wire

ACCOUNTS = st.sampled_from(["a", "b", "c"])
EVENTS = st.lists(st.tuples(st.integers(0, 12), ACCOUNTS, st.integers(0, 2)), max_size=40)
FAULTS = st.lists(st.booleans(), max_size=6)


def log_with(events: Sequence[tuple[int, str, int]]) -> MemoryLog:
    """An id always has the same account, and an account the same partition, as keys make it."""
    log = MemoryLog()
    for number, account, _ in events:
        owner = f"{account}{number % 3}"
        value = wire(f"default {account}{number}", account=owner)
        append(log, [value], partition=sum(owner.encode()) % 3)
    return log


class FailingSometimes:
    """Raises a passing fault whenever the schedule says so."""

    def __init__(self, faults: Sequence[bool]) -> None:
        self._faults = iter(faults)

    def __call__(self, _: Sequence[Received[Any]]) -> None:
        if next(self._faults, False):
            raise DatabaseUnavailable("as scheduled")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.bus.consumer.backoff_seconds", lambda _: 0.001)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events=EVENTS, batch=st.integers(1, 17), faults=FAULTS, restarts=st.integers(1, 3))
async def test_every_id_is_applied_once_and_in_order_per_account(
    database: Database,
    events: list[tuple[int, str, int]],
    batch: int,
    faults: list[bool],
    restarts: int,
):
    async with database.transaction() as tx:
        await tx.execute(text("TRUNCATE seen, consumer_offset, inbox, inbox_kept, outbox"))
    log = log_with(events)
    toy = Toy(failing=FailingSometimes(faults))

    for _ in range(restarts):  # each restart is a new process: it knows only what is committed
        reader = MemoryReader(log)
        options = KafkaSettings(batch_records=batch)
        await drain(toy_consumer(database, toy, reader, settings=options), reader)

    first_of_each: dict[str, list[str]] = {}
    for number, account, _ in events:
        ids = first_of_each.setdefault(f"{account}{number % 3}", [])
        if f"default {account}{number}" not in ids:
            ids.append(f"default {account}{number}")
    applied: dict[str, list[str]] = {}
    for _, account, event_id in await seen(database):
        applied.setdefault(account, []).append(event_id)
    assert applied == first_of_each
    ends = {place: len(records) for place, records in log.partitions.items()}
    assert await offsets(database) == ends
