"""One row of the fault matrix as it runs: load, fault, rest, verdict, and the same unprotected."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import asyncpg
import pytest

from deploy.local.layout import ROOT
from deploy.local.processes import MARK
from deploy.local.waiting import ask, wait_until
from tests.faults import model, oracle, raw
from tests.faults.fleet import Worker
from tests.faults.ledger import Ledger
from tests.faults.oracle import Findings, Violation
from tests.faults.raw import Place
from tests.faults.world import Tenant, World

Test = Callable[..., None]
Scaled = TypeVar("Scaled")

WARM_EVENTS = 60  # acknowledged before a fault begins: there is something to lose
WARM_SECONDS = 30.0
TRAFFIC_END_SECONDS = 75.0
REBUILD_SECONDS = 300
SETTLE_SECONDS = 10.0
CONTROL_REST_SECONDS = 12.0  # a system without a protection may never come to rest
RSS_SLACK_BYTES = 96 * 1024 * 1024
FILE_SLACK = 40
POOL = 8  # connections of each process to its database


class Form(StrEnum):
    """Small enough for every run of the tests, or as the matrix says."""

    SMOKE = "smoke"
    FULL = "full"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the matrix says of a fault. `heals_within_seconds`: from its end to all at rest."""

    number: int
    title: str
    how: str
    heals_within_seconds: float
    allows: frozenset[str] = frozenset()
    """Names of log lines at level error or critical that this fault may cause."""


def row(
    number: int,
    title: str,
    *,
    how: str,
    heals_within_seconds: float,
    in_smoke: bool = False,
    allows: frozenset[str] = frozenset(),
) -> Callable[[Test], Test]:
    """Makes a test a row: `make faults` runs it in full, `make test` the smoke set."""
    entry = Row(
        number=number,
        title=title,
        how=how,
        heals_within_seconds=heals_within_seconds,
        allows=allows,
    )
    forms = [pytest.param(Form.FULL, marks=pytest.mark.slow, id=f"row-{number}-full")]
    if in_smoke:
        forms.insert(0, pytest.param(Form.SMOKE, id=f"row-{number}-smoke"))

    def marked(test: Test) -> Test:
        made: Test = pytest.mark.fault(entry)(pytest.mark.parametrize("form", forms)(test))
        return made

    return marked


@dataclass
class Result:
    """A line of the report."""

    row: Row
    form: Form
    seed: str
    fired: dict[str, float] = field(default_factory=dict)
    heal_seconds: float | None = None
    acknowledged: int = 0
    unknown: int = 0
    held: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)
    outcome: str = "not run"
    reason: str = ""
    seconds: float = 0.0


@dataclass
class Load:
    """Traffic into a fresh workspace, and what was true before it began."""

    tenant: Tenant
    ledger: Ledger
    begins: Mapping[Place, int]
    process: subprocess.Popen[bytes]
    logs: Mapping[Worker, int]
    footprints: Mapping[Worker, tuple[int, int]]
    began_at: float

    def stop(self) -> None:
        """Let every account end its batch; what is not told 200 by then stays unknown."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(TRAFFIC_END_SECONDS)
        assert self.process.returncode == 0, "the traffic itself has failed: see its log"

    def count_acknowledged(self) -> int:
        """Events told 200 so far."""
        return self.ledger.count_acknowledged()

    def await_every_account(self, since: float, timeout_seconds: float = 60) -> float:
        """Seconds from an instant until every account was told 200 for a request begun after it."""
        accounts = {sent.account for sent in self.ledger.sent()}
        assert wait_until(
            lambda: self.ledger.served_since(since) >= accounts, timeout_seconds=timeout_seconds
        ), f"only {self.ledger.served_since(since)} of {accounts} were told 200"
        return round(time.time() - since, 1)

    def first_place(self, bootstrap: str) -> Place:
        """A partition in which events of this load stand."""
        ends = ask(raw.topic_ends(bootstrap, [oracle.USAGE]))
        records = ask(raw.read_between(bootstrap, self.begins, ends))
        event = model.events_of(records, self.tenant.workspace)[0]
        return Place(event.topic, event.partition)

    def await_more(self, events: int, timeout_seconds: float = 60) -> None:
        """Wait until that many more events are told 200."""
        wanted = self.count_acknowledged() + events
        assert wait_until(
            lambda: self.count_acknowledged() >= wanted, timeout_seconds=timeout_seconds
        ), f"{self.count_acknowledged()} events acknowledged, {wanted} wanted"


class Trial:
    """A row being tried: what its test arranges, does and asserts with."""

    def __init__(self, entry: Row, form: Form, world: World, *, seed: int) -> None:
        self.row = entry
        self.form = form
        self.world = world
        self._seed = seed
        self.seed = f"{seed}/{entry.number}/{form}"
        self.chance = random.Random(self.seed)
        self.result = Result(entry, form, self.seed)
        print(f"\nrow {entry.number} ({form}): seed {seed}")
        self.usually(*self.scaled(smoke=("--quick-group",), full=()))

    def scaled(self, *, smoke: Scaled, full: Scaled) -> Scaled:
        """How much of the fault this form takes."""
        return smoke if self.form is Form.SMOKE else full

    def on(self, world: World) -> "Trial":
        """The same row on a world of its own, for what breaks a world for good or needs another."""
        moved = Trial(self.row, self.form, world, seed=self._seed)
        moved.result = self.result
        return moved

    def usually(self, *words: str) -> None:
        """Run all services with these words for `tests.faults.sabotage` in this row; ready."""
        for worker in self.world.workers:
            worker.is_usually(words)
        self.world.heal()

    def fired(self, **counts: float) -> None:
        """Note that the fault happened; AssertionError when any count is 0."""
        self.result.fired |= counts
        silent = [name for name, count in counts.items() if not count]
        assert not silent, f"the fault did not fire: {silent}"

    def holds(self, what: str) -> None:
        """Note an invariant of this row beyond the oracle's, which the test has just asserted."""
        self.result.held.append(what)

    # --- load ---

    @contextmanager
    def load(self, **options: float) -> Iterator[Load]:
        """Traffic from now on; when the block begins, some of it is acknowledged.

        `options`: of `tests.faults.traffic`, as `accounts=4`.
        """
        load = self._begun(options)
        try:
            load.await_more(WARM_EVENTS, WARM_SECONDS)
            yield load
        finally:
            if load.process.poll() is None:
                load.process.send_signal(signal.SIGTERM)

    def _begun(self, options: Mapping[str, float]) -> Load:
        world = self.world
        # What an earlier control has left behind comes out now: later it would count as ours.
        world.await_rest(SETTLE_SECONDS)
        topics = (*oracle.RAW_TOPICS, oracle.NOTED, *oracle.RUNTIME_TOPICS)
        begins = ask(raw.topic_ends(world.kafka.bootstrap, topics))
        tenant = world.new_tenant()
        directory = world.ingest.home / tenant.workspace
        directory.mkdir()
        said = [
            word
            for name, value in options.items()
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        files = ("--ledger", str(directory), "--seed", str(self.chance.randrange(2**31)))
        told = ("--url", world.ingest.url, "--key", tenant.key, "--workspace", tenant.workspace)
        with (directory / "traffic.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.traffic", *told, *files, *said],
                cwd=ROOT,
                env={**os.environ, MARK: str(world.home)},  # ends with the world, whatever happens
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return Load(
            tenant=tenant,
            ledger=Ledger(directory),
            begins=begins,
            process=process,
            logs={worker: worker.log_size() for worker in world.workers},
            footprints={worker: worker.footprint() for worker in world.workers},
            began_at=time.time(),
        )

    # --- verdicts ---

    def assert_whole(self, load: Load) -> Findings:
        """The traffic ends, everything comes to rest within the row's bound, and all rules hold."""
        began = time.monotonic()
        load.stop()
        rest = self.world.await_rest(self.row.heals_within_seconds)
        assert rest is not None, f"not at rest: {self.world.why_restless()}"
        self.result.heal_seconds = round(time.monotonic() - began, 1)
        findings, broken = self._judged(load)
        self.result.acknowledged = len(findings.acknowledged)
        self.result.unknown = len(findings.sent) - len(findings.acknowledged)
        assert not broken, _told(broken)
        assert findings.acknowledged, "nothing was acknowledged: nothing was tested"
        unaccounted = self.world.ingest.metric("ingest_unaccounted_events")
        assert not unaccounted, f"the edge itself misses {unaccounted:g} acknowledged events"
        self._assert_modest(load)
        self.holds("R")
        return findings

    def assert_rebuilt_is_live(self, worker: Worker) -> None:
        """R9: the log folded anew, beside the running service, gives what its tables hold."""
        ended = subprocess.run(
            [sys.executable, "-m", worker.command[0], "rebuild", "--dry-run"],
            cwd=ROOT,
            env={**os.environ, **worker.environment},
            capture_output=True,
            text=True,
            timeout=REBUILD_SECONDS,
            check=False,
        )
        if "invalid choice: 'rebuild'" in ended.stderr:
            self.holds("R9 not run: this build has no rebuild")
            return
        assert ended.returncode == 0, f"{ended.returncode}: {ended.stdout[-2000:]}{ended.stderr}"
        self.holds(f"R9 {worker.name}")

    def assert_broken(self, load: Load, rule: str, *, without: str) -> None:
        """The same fault without a protection breaks `rule`: the oracle does see it."""
        load.stop()
        self.world.await_rest(CONTROL_REST_SECONDS)
        _, broken = self._judged(load)
        rules = {violation.rule for violation in broken}
        assert rule in rules, f"without {without} {rule} still holds; broken: {_told(broken)}"
        self.control_failed(without, rule)

    def control_failed(self, without: str, what: str) -> None:
        """Note that without a protection the check was red, as it must be."""
        self.result.controls.append(f"without {without}: {what} red")

    def _judged(self, load: Load) -> tuple[Findings, list[Violation]]:
        found = ask(
            oracle.gather(self.world.sources, load.tenant.workspace, load.ledger, load.begins)
        )
        return found, oracle.violations(found)

    def _assert_modest(self, load: Load) -> None:
        """R10: memory, files and connections are near where they were; no unexpected error."""
        for worker, (rss, files) in load.footprints.items():
            rss_now, files_now = worker.footprint()
            assert not rss or rss_now < rss + RSS_SLACK_BYTES, (worker.name, rss, rss_now)
            assert not files or files_now < files + FILE_SLACK, (worker.name, files, files_now)
        processes = len(self.world.workers)
        connections = ask(_connections(self.world.postgres.administrator_url()))
        assert connections <= POOL * processes, f"{connections} connections"
        unexpected = {
            f"{worker.name}: {line}"
            for worker, mark in load.logs.items()
            for line in worker.logged_since(mark)
            if _is_alarming(line, self.row.allows)
        }
        assert not unexpected, sorted(unexpected)[:5]


def _told(broken: list[Violation]) -> str:
    return "\n".join(f"{violation.rule}: {violation.what}" for violation in broken) or "nothing"


def _is_alarming(line: str, allowed: frozenset[str]) -> bool:
    """Whether a log line is an error that nobody expects, or no log line but a traceback."""
    try:
        told = json.loads(line)
    except ValueError:
        return line.startswith("Traceback")
    return told.get("level") in ("error", "critical") and told.get("event") not in allowed


async def _connections(administrator_url: str) -> int:
    """Open connections of all services."""
    connection = await asyncpg.connect(administrator_url)
    try:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE '%\\_app'"
        )
        return found
    finally:
        await connection.close()
