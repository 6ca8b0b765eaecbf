"""What the relay must not pass over, and what it may say twice."""

import asyncio
import json
import random
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from deploy.local.waiting import ask, wait_until
from tests.faults import oracle, raw
from tests.faults.background import beside
from tests.faults.sessions import session_of
from tests.faults.trial import Load, Trial, row
from tests.faults.world import World

WRITERS = 16
CACHE = 20  # ids that a session takes from the sequence at once: neighbours commit far apart
RACER = "racers"  # the workspace in whose name they write


@dataclass
class Race:
    """Sessions that put events into the outbox of the toy, and take their time to commit."""

    url: str
    seed: str
    committed: set[str] = field(default_factory=set)
    rolled_back: set[str] = field(default_factory=set)
    disorders: int = 0
    """Commits of an id lower than one that had been committed before."""
    _highest: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)

    def running(self) -> AbstractContextManager[None]:
        """They write for the block, and have ended behind it."""
        return beside(self._run, self._ending)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(self._write(random.Random(f"{self.seed}/{number}")))

    async def _write(self, chance: random.Random) -> None:
        connection = await asyncpg.connect(self.url, timeout=10)
        try:
            while not self._ending.is_set():
                await self._transaction(connection, chance)
        finally:
            await connection.close(timeout=5)

    async def _transaction(self, connection: asyncpg.Connection, chance: random.Random) -> None:
        """One to three events with pauses between them; one in ten is taken back."""
        ids = [str(UUID(int=chance.getrandbits(128))) for _ in range(chance.randint(1, 3))]
        transaction = connection.transaction()
        await transaction.start()
        numbers = []
        for event_id in ids:
            numbers.append(await connection.fetchval(INSERT, event_id, _payload(event_id)))
            await asyncio.sleep(chance.choice((0.0, 0.002, 0.02, 0.05)))
        if chance.random() < 0.1:
            await transaction.rollback()
            self.rolled_back |= set(ids)
            return
        await transaction.commit()
        self.committed |= set(ids)
        self.disorders += min(numbers) < self._highest
        self._highest = max(self._highest, *numbers)


INSERT = (
    "INSERT INTO metrics.outbox (event_id, topic, key, payload)"
    f" VALUES ($1, '{oracle.NOTED}', '{RACER}/', $2) RETURNING id"
)


def _payload(event_id: str) -> bytes:
    """As little of an event as the oracle reads."""
    told = {
        "id": event_id,
        "workspace": RACER,
        "time": "2026-01-01T00:00:00Z",
        "type": "racer.wrote.v1",
        "data": {},
    }
    return json.dumps(told).encode()


def race(trial: Trial, load: Load) -> Race:
    """Let them write while the toy works and its relay publishes."""
    address = urlsplit(trial.world.sources.databases["metrics"])
    racers = Race(
        trial.world.postgres.administrator_url(address.path.removeprefix("/")), trial.seed
    )
    with session_of(trial.world, "metrics") as session:
        sequence = session.value("SELECT pg_get_serial_sequence('metrics.outbox', 'id')")
        session.execute(f"ALTER SEQUENCE {sequence} CACHE {CACHE}")
        try:
            with racers.running():
                load.await_more(40)
                time.sleep(trial.scaled(smoke=3.0, full=30.0))
        finally:
            session.execute(f"ALTER SEQUENCE {sequence} CACHE 1")
    return racers


def published(world: World, load: Load) -> list[str]:
    """Ids of the racers' events in the topic, repeats too."""
    ends = ask(raw.topic_ends(world.kafka.bootstrap, [oracle.NOTED]))
    records = ask(raw.read_between(world.kafka.bootstrap, load.begins, ends))
    values = (json.loads(record.value or b"{}") for record in records)
    return [told["id"] for told in values if told.get("workspace") == RACER]


@row(
    29,
    "events that get their number before others and are committed after them",
    how="16 writers to one outbox that pause before they commit, sequence with CACHE 20",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_whatever_is_committed_late_with_a_low_number_is_published_too(trial: Trial):
    with trial.load() as load:
        racers = race(trial, load)
    trial.fired(committed=len(racers.committed), late_with_a_low_id=racers.disorders)
    trial.assert_whole(load)
    assert set(published(trial.world, load)) == racers.committed
    trial.holds("committed = published")

    toy = trial.world.toy
    with trial.load() as control, toy.running_as("--without", "outbox_cursor"):
        # Its relay waits for the lease of the life before: until then nothing could be passed over.
        assert wait_until(lambda: toy.metric("outbox_published_total") > 0, timeout_seconds=30)
        racers = race(trial, control)
        control.stop()
        wait_until(lambda: _all_read(trial.world), timeout_seconds=15)
        time.sleep(1.0)  # what the relay still finds, it finds in a tenth of this
        lost = racers.committed - set(published(trial.world, control))
    assert lost, "nothing is lost without the cursor below the oldest open transaction"
    trial.control_failed("the cursor", f"R6, {len(lost)} of {len(racers.committed)} lost,")


def _all_read(world: World) -> bool:
    ends = ask(raw.topic_ends(world.kafka.bootstrap, [oracle.USAGE]))
    return all(world.toys_offsets()[place] == end for place, end in ends.items())


# --- between the acks and the forgetting ---------------------------------------------------------


@row(
    30,
    "kill -9 of the relay between Kafka's acks and the forgetting",
    how="SIGKILL when all acks have come",
    heals_within_seconds=30,
)
def test_a_relay_killed_before_it_forgets_says_things_twice_and_loses_none(trial: Trial):
    toy = trial.world.toy

    def kill(load: Load, deaths: int, *words: str) -> int:
        at = time.time()
        with toy.running_as(*words, "--nth", "3", wait=False):
            assert wait_until(
                lambda: len(toy.restarts_since(at)) > deaths, timeout_seconds=deaths * 30
            ), f"{len(toy.restarts_since(at))} of {deaths} deaths"
            load.await_more(20)
        return len(toy.restarts_since(at)) - 1

    with trial.load() as load:
        killed = kill(load, trial.scaled(smoke=1, full=8), "--die-at", "after_ack")
    found = trial.assert_whole(load)
    trial.fired(deaths=killed, said_twice=len(found.noted) - len({n.id for n in found.noted}))

    with trial.load() as control:
        kill(control, 1, "--die-at", "before_publish", "--without", "forgetting_last")
    trial.assert_broken(control, "R6", without="forgetting only what is acknowledged")
