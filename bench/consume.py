"""Consume: events per CPU-second of the health consumer, from Kafka to committed rollups.

A topic is filled first; the consumer then works it off, and its processor time is taken from the
first committed batch to the last. Afterwards the rollups must count every event exactly once,
although the topic holds some events twice.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import asyncpg

from bench.events import HOT, WIDE, Use, as_published, happenings
from bench.figures import Comparison, Measure
from bench.machine import cores, cpu_seconds, family_cpu_seconds
from bench.running import NotMeasurable, log_of, measured
from bench.stack import Stack, own_stack
from deploy.local import processes
from deploy.local.processes import Process
from shared.bus.kafka.batches import BatchWriter
from shared.events.base import Topic
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings

SHAPES = {"hot": HOT, "wide": WIDE}
# Where tables may stand: of a service in its own schema, of a peer in public.
SCHEMAS = "health, metrics, public"
PER_MESSAGE = "FastStream + SQLAlchemy, a commit per message"
MAINSTAY = "Mainstay"

REPEATED = 100  # events of a batch that its sender sent twice
REPEATS = 3  # such batches in the topic
WRITE_AT_ONCE = 5_000  # records handed to Kafka before their acks are awaited
LOOK_EVERY_SECONDS = 0.02
WORK_SECONDS = 120.0  # longest wait for a topic to be worked off

PLAIN_TOPIC = replace(USAGE, name="bench.usage.v1")

_groups = count(1)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many events the two forms work off: the per-message form would need minutes for all."""

    events: int
    plain_events: int


FULL = Sizes(events=200_000, plain_events=2_000)
QUICK = Sizes(events=30_000, plain_events=300)


@dataclass(frozen=True)
class Worked:
    """What working a topic off took: of the consumer alone, and with PostgreSQL."""

    consumer: Measure
    with_postgres: Measure


def compare(*, rounds: int, sizes: Sizes, tell: Callable[[str], None]) -> list[Comparison]:
    """Both forms on both shapes of use. Raises NotMeasurable."""
    return [
        comparison
        for name, shape in SHAPES.items()
        for comparison in _compare_shape(name, shape, rounds=rounds, sizes=sizes, tell=tell)
    ]


def _compare_shape(
    name: str, shape: Use, *, rounds: int, sizes: Sizes, tell: Callable[[str], None]
) -> Sequence[Comparison]:
    """A stack of its own for each shape: the service reads its one topic from the beginning."""
    with own_stack(cores()) as stack:
        stack.create_topic(PLAIN_TOPIC)
        tell(f"consume: {name}: writing {sizes.events:,} events to Kafka")
        records = asyncio.run(fill(stack, USAGE, shape, sizes.events, repeats=REPEATS))
        asyncio.run(fill(stack, PLAIN_TOPIC, shape, sizes.plain_events, repeats=0))
        empty = stack.create_migrated_database("health", {})
        found = []
        for _ in range(rounds):
            worked = {
                PER_MESSAGE: _plain(stack, sizes.plain_events),
                MAINSTAY: _mainstay(stack, empty, records=records, events=sizes.events),
            }
            found.append(worked)
            rates = ", ".join(f"{each.consumer.rate:,.0f}" for each in worked.values())
            tell(f"consume: {name}: {rates} events per CPU-second of the consumer")
    return [
        comparison(f"{name}: the consumer", found, lambda worked: worked.consumer),
        comparison(f"{name}: with PostgreSQL's part", found, lambda worked: worked.with_postgres),
    ]


def comparison(
    title: str, rounds: Sequence[Mapping[str, Worked]], part: Callable[[Worked], Measure]
) -> Comparison:
    """One part of what each round measured."""
    return Comparison(
        title=title,
        rounds=[{form: part(worked) for form, worked in found.items()} for found in rounds],
    )


# --- the topic -----------------------------------------------------------------------------------


async def fill(stack: Stack, topic: Topic, shape: Use, events: int, *, repeats: int) -> int:
    """Write `events` events as ingest does, `repeats` batches of them twice; records written."""
    yesterday = datetime.now(UTC).replace(hour=12) - timedelta(days=1)
    made = happenings(shape, events, until=yesterday, seed=11)
    records = [as_published(happening, number) for number, happening in enumerate(made)]
    every = len(records) // repeats if repeats else len(records)
    for start in range(every - REPEATED, len(records), every) if repeats else ():
        records += records[start : start + REPEATED]
    writer = BatchWriter(client_id="bench", settings=KafkaSettings(bootstrap=stack.kafka.bootstrap))
    await writer.start([topic])
    try:
        for start in range(0, len(records), WRITE_AT_ONCE):
            flushes = {
                writer.append(topic, key, value)[0]
                for key, value in records[start : start + WRITE_AT_ONCE]
            }
            for flush in flushes:
                await flush.acked
    finally:
        await writer.stop()
    return len(records)


# --- the forms -----------------------------------------------------------------------------------


def _plain(stack: Stack, events: int) -> Worked:
    """The tutorial's consumer on a new database."""
    url = stack.create_database("health")
    command = (
        *("-m", "bench.peers.faststream_health", "--bootstrap", stack.kafka.bootstrap),
        *("--topic", PLAIN_TOPIC.name, "--group", f"bench-{next(_groups)}"),
        *("--database-url", url.replace("postgresql://", "postgresql+asyncpg://")),
    )
    counted = "SELECT sum(events) FROM account_day"
    try:
        with measured(stack, "faststream", command, {}) as process:
            found = asyncio.run(worked(stack, process, url, done=counted, until=events))
        require_sum(url, counted, events)
    except NotMeasurable as error:
        raise NotMeasurable(with_log(stack, "faststream", error)) from error
    stack.drop_database(url)
    return found


def _mainstay(stack: Stack, empty: str, *, records: int, events: int) -> Worked:
    """The real service's consumer on a copy of its empty database."""
    url = stack.copy_of(empty)
    environment = stack.environment("health", url)
    command = ("-m", "services.health", "run", "--roles", "consumer")
    done = (
        "SELECT sum(next_offset) FROM consumer_offset"
        f" WHERE grp = 'health.live' AND topic = '{USAGE.name}'"
    )
    try:
        with measured(stack, "health", command, environment) as process:
            found = asyncio.run(worked(stack, process, url, done=done, until=records))
        require_sum(url, "SELECT sum(events) FROM account_day", events)
    except NotMeasurable as error:
        raise NotMeasurable(with_log(stack, "health", error)) from error
    stack.drop_database(url)
    return found


async def worked(
    stack: Stack,
    process: Process,
    url: str,
    *,
    done: str,
    until: int,
    within_seconds: float = WORK_SECONDS,
) -> Worked:
    """What it took from the first commit to the one after which `done` answers `until`."""
    connection = await asyncpg.connect(url, server_settings={"search_path": SCHEMAS})
    try:
        async with asyncio.timeout(within_seconds):
            first = await _changed(connection, process, done, lambda count: count > 0)
            begin = _Instant.now(stack, process)
            last = await _changed(connection, process, done, lambda count: count >= until)
            end = _Instant.now(stack, process)
    except TimeoutError as error:
        raise NotMeasurable(f"not worked off within {within_seconds:.0f} s") from error
    finally:
        await connection.close()
    return begin.to(end, events=last - first)


async def _changed(
    connection: asyncpg.Connection, process: Process, query: str, wanted: Callable[[int], bool]
) -> int:
    """The number that `query` answers as soon as it is `wanted`; a missing table counts as 0."""
    while True:
        counted = 0
        with suppress(asyncpg.UndefinedTableError):
            counted = int(await connection.fetchval(query) or 0)
        if wanted(counted):
            return counted
        if not process.is_running():
            raise NotMeasurable(f"the consumer has ended after {counted} events")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


@dataclass(frozen=True)
class _Instant:
    """The clocks at one instant, in seconds."""

    consumer: float
    postgres: float
    wall: float

    @classmethod
    def now(cls, stack: Stack, process: Process) -> "_Instant":
        return cls(
            cpu_seconds(process.pid), family_cpu_seconds(stack.postgres_pid), time.monotonic()
        )

    def to(self, end: "_Instant", *, events: int) -> Worked:
        """What lies between."""
        consumer, wall = end.consumer - self.consumer, end.wall - self.wall
        both = consumer + end.postgres - self.postgres
        return Worked(
            Measure(events=events, cpu_seconds=consumer, wall_seconds=wall),
            Measure(events=events, cpu_seconds=both, wall_seconds=wall),
        )


def require_sum(url: str, query: str, events: int) -> None:
    """Raise NotMeasurable unless the rollups count every event once."""
    counted = asyncio.run(_fetched(url, query))
    if counted != events:
        raise NotMeasurable(f"the rollups count {counted} events instead of {events}")


async def _fetched(url: str, query: str) -> int:
    connection = await asyncpg.connect(url, server_settings={"search_path": SCHEMAS})
    try:
        return int(await connection.fetchval(query) or 0)
    finally:
        await connection.close()


def with_log(stack: Stack, name: str, error: NotMeasurable) -> str:
    """What went wrong, with the end of the program's output."""
    words = processes.last_lines(log_of(stack, name), count=30)
    return f"{name}: {error}; the end of its output:\n{words}"
