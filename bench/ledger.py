"""Ledger: what month reports, facts, late facts and a rebuild cost.

Reports are read from the same rows in every form. Facts are worked off a topic by the real service;
a late fact is booked into ledgers of different sizes; then the log is folded anew.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import asyncpg
import msgspec
import psutil

from bench.billing_history import as_published, facts, state
from bench.consume import require_sum, with_log, worked
from bench.figures import Comparison, Measure
from bench.ledger_rows import BY_ACCOUNT_MONTHS, FIRST, LAST, MONTH_SUMS, NAIVE, Rows, fill
from bench.machine import cores, cpu_seconds, family_cpu_seconds, pinned
from bench.peers.kept_rollup import KeptRollup, MonthSum
from bench.running import NotMeasurable, log_of, measured
from bench.stack import Stack, own_stack
from deploy.local import processes
from services.metrics.handlers.billing import facts_recorded
from services.metrics.model.calendar import Month
from services.metrics.store import reports
from services.metrics.store.rollups import first_day
from shared.bus.kafka.batches import BatchWriter
from shared.db import Database
from shared.events.base import Envelope, Received
from shared.events.ingest import BILLING, BillingFactRecorded
from shared.settings import DatabaseSettings, KafkaSettings

NAIVE_FORM = "naive SQL over the rows"
DBT_FORM = "dbt-style: a table of account and month"
DUCKDB_FORM = "a kept rollup in DuckDB, in the asking process"
MAINSTAY = "Mainstay"
ASKED = "w1"  # the workspace whose months are asked for
WRITE_AT_ONCE = 5_000
LATE_FACTS = 20
APPLY_SECONDS = 600.0  # longest wait for a topic to be worked off
REBUILD_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much there is of everything."""

    rows: Rows
    reads: int
    facts: int
    small: int
    """Facts of the small ledger that late facts are booked into."""


FULL = Sizes(
    rows=Rows(workspaces=20, accounts=10_000, per_account=50),
    reads=50,
    facts=1_000_000,
    small=5_000,
)
QUICK = Sizes(
    rows=Rows(workspaces=4, accounts=500, per_account=50), reads=10, facts=40_000, small=2_000
)


def compare(*, rounds: int, sizes: Sizes, tell: Callable[[str], None]) -> list[Comparison]:
    """Everything, in one stack. Raises NotMeasurable."""
    with own_stack(cores()) as stack:
        reading = _reading(stack, rounds, sizes, tell)
        small = stack.create_migrated_database("metrics", {})
        asyncio.run(_book(small, facts(sizes.small, seed=7)))
        tell(f"ledger: writing {sizes.facts:,} facts to Kafka")
        asyncio.run(_write(stack, sizes.facts))
        applying, url = _applying(stack, sizes.facts)
        tell(f"ledger: {applying.rate:,.0f} facts per CPU-second with PostgreSQL's part")
        rebuilt, peak = _rebuilding(stack, url, sizes.facts)
        tell(f"ledger: rebuilt in {rebuilt.wall_seconds:.0f} s, {peak:.0f} MiB at most")
        late = asyncio.run(_late(stack, {sizes.small: small, sizes.facts: url}))
        for form in late.forms:
            each = late.rounds[0][form]
            tell(f"ledger: a late fact {form}: {each.wall_seconds / each.events * 1000:.1f} ms")
    return [
        reading,
        Comparison(title="facts applied, with PostgreSQL's part", rounds=[{MAINSTAY: applying}]),
        late,
        Comparison(
            title=f"facts rebuilt and compared ({peak:.0f} MiB at most)",
            rounds=[{MAINSTAY: rebuilt}],
        ),
    ]


# --- reading -------------------------------------------------------------------------------------


def _reading(stack: Stack, rounds: int, sizes: Sizes, tell: Callable[[str], None]) -> Comparison:
    url = stack.create_migrated_database("metrics", {})
    tell(f"ledger: making {sizes.rows.total:,} rows in every form")
    asyncio.run(fill(url, sizes.rows))
    found = [asyncio.run(_read_in_every_form(stack, url, sizes.reads)) for _ in range(rounds)]
    for form in found[0]:
        each = median(m[form].wall_seconds / m[form].events for m in found)
        tell(f"ledger: months of a workspace, {form}: {each * 1000:,.2f} ms")
    stack.drop_database(url)
    return Comparison(title="month series with NDR of one workspace, answers", rounds=found)


async def _read_in_every_form(stack: Stack, url: str, reads: int) -> dict[str, Measure]:
    connection = await asyncpg.connect(url, server_settings={"search_path": "metrics"})
    database = Database(url, schema="metrics", settings=DatabaseSettings())
    sums = [MonthSum(*row) for row in await connection.fetch(MONTH_SUMS)]
    with pinned(stack.cores.measured), TemporaryDirectory() as folder:
        kept = KeptRollup(Path(folder) / "sums.duckdb", sums)
        try:
            naive = await connection.fetch(NAIVE, ASKED)
            answer = await _months(database)
            _require_equal([row["ndr"] for row in naive], answer)
            _require_equal([row["ndr"] for row in naive], await _months_of(kept))
            forms: dict[str, Callable[[], Awaitable[object]]] = {
                NAIVE_FORM: lambda: connection.fetch(NAIVE, ASKED),
                DBT_FORM: lambda: connection.fetch(BY_ACCOUNT_MONTHS, ASKED),
                DUCKDB_FORM: lambda: _months_of(kept),
                MAINSTAY: lambda: _months(database),
            }
            quick = {DUCKDB_FORM, MAINSTAY}
            return {
                form: await _asked(stack, ask, reads if form in quick else 3)
                for form, ask in forms.items()
            }
        finally:
            kept.close()
            await database.close()
            await connection.close()


async def _months(database: Database) -> list[float | None]:
    """NDR of each month, as the service's route has it: settings, rates, rollups, every ratio."""
    async with database.transaction() as tx:
        view = await reports.get_view(tx, ASKED)
        found = await reports.get_months(tx, view, Month.of(FIRST), Month.of(LAST))
    return [None if r.ndr is None else float(r.ndr) for r in found.reports.values()]


async def _months_of(kept: KeptRollup) -> list[float | None]:
    """The same of the peer, which has nothing to wait for."""
    return kept.ndr(ASKED, first_day(Month.of(FIRST)), first_day(Month.of(LAST)))


def _require_equal(naive: Sequence[float | None], ours: Sequence[float | None]) -> None:
    for month, (one, other) in enumerate(zip(naive, ours, strict=True)):
        if (one is None) is not (other is None) or abs((one or 0) - (other or 0)) > 1e-9:
            raise NotMeasurable(f"month {month}: NDR {one} by the rows, {other} by the rollup")


async def _asked(stack: Stack, ask: Callable[[], Awaitable[object]], reads: int) -> Measure:
    process = psutil.Process()
    await ask()
    wall, server = time.monotonic(), family_cpu_seconds(stack.postgres_pid)
    own = cpu_seconds(process.pid)
    for _ in range(reads):
        await ask()
    return Measure(
        events=reads,
        cpu_seconds=max(
            cpu_seconds(process.pid) - own + family_cpu_seconds(stack.postgres_pid) - server, 0.01
        ),
        wall_seconds=time.monotonic() - wall,
    )


# --- applying ------------------------------------------------------------------------------------


async def _write(stack: Stack, count: int) -> None:
    writer = BatchWriter(client_id="bench", settings=KafkaSettings(bootstrap=stack.kafka.bootstrap))
    await writer.start([BILLING])
    waiting = set()
    try:
        for number, event in enumerate(facts(count, seed=11)):
            key, value = as_published(event, number)
            waiting.add(writer.append(BILLING, key, value)[0])
            if waiting and number % WRITE_AT_ONCE == WRITE_AT_ONCE - 1:
                for flush in waiting:
                    await flush.acked
                waiting = set()
        for flush in waiting:
            await flush.acked
    finally:
        await writer.stop()


def _applying(stack: Stack, count: int) -> tuple[Measure, str]:
    """The real service's consumer, from Kafka to committed books; and the address of these."""
    url = stack.create_migrated_database("metrics", {})
    command = ("-m", "services.metrics", "run", "--roles", "consumer")
    done = (
        "SELECT sum(next_offset) FROM consumer_offset"
        f" WHERE grp = 'metrics.ledger' AND topic = '{BILLING.name}'"
    )
    try:
        with measured(stack, "metrics", command, _environment(stack, url)) as process:
            found = asyncio.run(
                worked(stack, process, url, done=done, until=count, within_seconds=APPLY_SECONDS)
            )
        require_sum(url, "SELECT count(*) FROM fact", count)
        require_sum(url, "SELECT count(*) FROM dead_letter", 0)
    except NotMeasurable as error:
        raise NotMeasurable(with_log(stack, "metrics", error)) from error
    return found.with_postgres, url


def _environment(stack: Stack, url: str) -> dict[str, str]:
    """A bench is patient: on a busy machine a partition may wait for long behind the others."""
    return {**stack.environment("metrics", url), "KAFKA_WATCHDOG_SECONDS": str(APPLY_SECONDS)}


# --- late facts ----------------------------------------------------------------------------------


async def _late(stack: Stack, ledgers: Mapping[int, str]) -> Comparison:
    """Facts of a year ago, one a transaction, into ledgers of different sizes."""
    rounds = {
        f"into a ledger of {size:,} facts": await _booked_late(stack, url)
        for size, url in ledgers.items()
    }
    return Comparison(title="late facts booked", rounds=[rounds])


async def _booked_late(stack: Stack, url: str) -> Measure:
    database = Database(url, schema="metrics", settings=DatabaseSettings())
    at = datetime(2024, 6, 15, tzinfo=UTC)
    walls = []
    own, server = cpu_seconds(psutil.Process().pid), family_cpu_seconds(stack.postgres_pid)
    try:
        for number in range(LATE_FACTS + 1):
            event = state(f"acc{number:06}", at, f"late-{number}", seats=99)
            begin = time.monotonic()
            async with database.transaction() as tx:
                await facts_recorded(tx, [received(event, 10**9 + number, at=datetime.now(UTC))])
            walls.append(time.monotonic() - begin)
    finally:
        await database.close()
    # The first one opened the connection and prepared the statements.
    used = cpu_seconds(psutil.Process().pid) - own + family_cpu_seconds(stack.postgres_pid) - server
    return Measure(
        events=LATE_FACTS, cpu_seconds=max(used, 0.01), wall_seconds=median(walls[1:]) * LATE_FACTS
    )


def received(
    event: BillingFactRecorded, number: int, *, at: datetime
) -> Received[BillingFactRecorded]:
    """The event as the consumer hands it on."""
    _, value = as_published(event, number)
    envelope = msgspec.json.decode(value, type=Envelope)
    return Received(
        envelope=envelope,
        event=event,
        topic=BILLING.name,
        partition=0,
        offset=number,
        appended_at=at,
    )


async def _book(url: str, events: Iterable[BillingFactRecorded]) -> None:
    """Book events without a log, in one transaction."""
    database = Database(url, schema="metrics", settings=DatabaseSettings())
    begin = datetime.now(UTC) - timedelta(days=1)
    try:
        async with database.transaction() as tx:
            listed = [received(event, n, at=begin) for n, event in enumerate(events)]
            await facts_recorded(tx, listed)
    finally:
        await database.close()


# --- rebuilding ----------------------------------------------------------------------------------


def _rebuilding(stack: Stack, url: str, count: int) -> tuple[Measure, float]:
    """The whole log folded anew beside the tables and compared; and the most memory, MiB."""
    command = ("-m", "services.metrics", "rebuild", "--dry-run")
    begin, server = time.monotonic(), family_cpu_seconds(stack.postgres_pid)
    peak = used = 0.0
    with measured(stack, "rebuild", command, _environment(stack, url)) as process:
        while process.is_running() and time.monotonic() - begin < REBUILD_SECONDS:
            try:
                used = cpu_seconds(process.pid)
                peak = max(peak, psutil.Process(process.pid).memory_info().rss / 2**20)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.2)
        wall = time.monotonic() - begin
    words = processes.last_lines(log_of(stack, "rebuild"), count=40)
    if "nothing was swapped" not in words or "DIFFERS" in words:
        raise NotMeasurable(f"the rebuild did not end well; the end of its output:\n{words}")
    both = used + family_cpu_seconds(stack.postgres_pid) - server
    return Measure(events=count, cpu_seconds=both, wall_seconds=wall), peak
