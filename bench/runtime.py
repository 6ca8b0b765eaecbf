"""Runtime: what exactly once costs, against the least that could be done with the same topic.

Both forms work off the same hot use into the same rollup by account and day. The bare one keeps no
offset and drops no repeat; what the runtime does beyond it is the price that this bench tells.
"""

import asyncio
from collections.abc import Callable

import asyncpg

from bench.consume import Worked, comparison, fill, require_sum, with_log, worked
from bench.events import HOT
from bench.figures import Comparison
from bench.machine import cores
from bench.peers.bare_rollup import TABLE
from bench.running import NotMeasurable, measured
from bench.stack import Stack, own_stack
from shared.events.ingest import USAGE

BARE = "bare: librdkafka, msgspec, COPY + merge, no guarantee"
MAINSTAY = "Mainstay: offsets, exact dedup and outbox in the transaction"
EVENTS = 400_000
QUICK_EVENTS = 60_000
COUNTED = "SELECT sum(events) FROM rollup"


def compare(*, rounds: int, events: int, tell: Callable[[str], None]) -> list[Comparison]:
    """Both forms on hot use. Raises NotMeasurable."""
    with own_stack(cores()) as stack:
        tell(f"runtime: writing {events:,} events to Kafka")
        records = asyncio.run(fill(stack, USAGE, HOT, events, repeats=0))
        empty = stack.create_migrated_database("metrics", {})
        asyncio.run(_create_rollup(empty))
        found = []
        for _ in range(rounds):
            measures = {
                BARE: _bare(stack, records),
                MAINSTAY: _mainstay(stack, empty, records),
            }
            found.append(measures)
            rates = ", ".join(f"{each.with_postgres.rate:,.0f}" for each in measures.values())
            tell(f"runtime: {rates} events per CPU-second with PostgreSQL's part")
    return [
        comparison("hot: the consumer", found, lambda form: form.consumer),
        comparison("hot: with PostgreSQL's part", found, lambda form: form.with_postgres),
    ]


def _bare(stack: Stack, records: int) -> Worked:
    url = stack.create_database("metrics")
    command = (
        *("-m", "bench.peers.bare_rollup", "--bootstrap", stack.kafka.bootstrap),
        *("--topic", USAGE.name, "--partitions", str(USAGE.partitions), "--database-url", url),
    )
    try:
        with measured(stack, "bare", command, {}) as process:
            found = asyncio.run(worked(stack, process, url, done=COUNTED, until=records))
    except NotMeasurable as error:
        raise NotMeasurable(with_log(stack, "bare", error)) from error
    stack.drop_database(url)
    return found


def _mainstay(stack: Stack, empty: str, records: int) -> Worked:
    url = stack.copy_of(empty)
    environment = stack.environment("metrics", url)
    command = ("-m", "bench.rollup_service", "run", "--roles", "consumer")
    done = "SELECT sum(next_offset) FROM consumer_offset WHERE grp = 'metrics.live'"
    try:
        with measured(stack, "runtime", command, environment) as process:
            found = asyncio.run(worked(stack, process, url, done=done, until=records))
        require_sum(url, COUNTED, records)
    except NotMeasurable as error:
        raise NotMeasurable(with_log(stack, "runtime", error)) from error
    stack.drop_database(url)
    return found


async def _create_rollup(url: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "metrics"})
    try:
        await connection.execute(TABLE)
    finally:
        await connection.close()
