"""What faults happen to: three brokers, a durable PostgreSQL, ingest, health and the toy."""

import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import psutil
from aiokafka.errors import KafkaError

from deploy.local import contents
from deploy.local.kafka.cluster import Kafka, three_brokers
from deploy.local.kafka.quick_start import prepare_runtime
from deploy.local.kafka.training import train
from deploy.local.ports import reserve
from deploy.local.postgres.programs import find_programs
from deploy.local.postgres.server import Postgres
from deploy.local.services import named
from deploy.local.waiting import ask, wait_until
from shared.bus.kafka import topics
from tests.faults import oracle, raw, toy
from tests.faults.faultproxy import FaultProxy
from tests.faults.fleet import Fleet, Worker
from tests.faults.oracle import Sources
from tests.support.homes import new_home
from tests.support.mainstay import OPERATOR_KEY
from tests.support.stack import TemporaryStack, temporary_home, with_roles

SERVICES = ("ingest", "health", "metrics")  # the toy lives as metrics
LOOK_SECONDS = 0.15
# Small batches: a fault then falls between many, not into one.
BATCHES = {"KAFKA_BATCH_RECORDS": "300", "KAFKA_BATCH_WAIT_MS": "100"}
BROKERS = (1, 2, 3)
SPILL = "spill"
REPLICAS_SECONDS = 90.0
FREEZE_SECONDS = 5.0  # a JVM has many threads to stop


@dataclass(frozen=True)
class Tenant:
    """A fresh workspace and the key that writes to it."""

    workspace: str
    key: str


@dataclass(frozen=True)
class World:
    """The running system, and everything a fault needs to get at."""

    home: Path
    stack: TemporaryStack
    kafka: Kafka
    postgres: Postgres
    sources: Sources
    fleet: Fleet
    proxies: Sequence[FaultProxy]
    """One before each broker in the order of `BROKERS`, and one before the database, if any."""
    ingest: Worker
    health: Worker
    toy: Worker

    @property
    def workers(self) -> Sequence[Worker]:
        """Every service process, peers too."""
        return self.fleet.workers

    def new_tenant(self) -> Tenant:
        """A fresh workspace."""
        workspace = f"w{secrets.token_hex(5)}"
        answer = httpx.post(
            f"{self.ingest.url}/v1/workspaces",
            headers={"authorization": f"Bearer {OPERATOR_KEY}"},
            json={
                "id": workspace,
                "name": "Tenant",
                "time_zone": "Asia/Seoul",
                "reporting_currency": "KRW",
                "locale": "ko",
                "gross_margin": "0.8",
            },
            timeout=30,
            trust_env=False,
        )
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return Tenant(workspace, answer.json()["keys"]["write"])

    @contextmanager
    def peer_of(self, worker: Worker, *wrapper: str) -> Iterator[Worker]:
        """A second process of the same service, on the same database and in the same group; ready.

        `wrapper`: words for `tests.faults.sabotage`, beside the usual ones.
        """
        peer = self.fleet.add(
            Worker(
                name=f"{worker.name}-peer",
                command=worker.command,
                environment=worker.environment,
                port_variable=worker.port_variable,
                home=worker.home,
                usual=worker.usual,
                wrapper=(*worker.usual, *wrapper),
            )
        )
        peer.start()
        try:
            peer.wait_ready()
            yield peer
        finally:
            self.fleet.remove(peer)

    @contextmanager
    def beside(self, *names: str) -> Iterator[Sequence[Worker]]:
        """Services that no row needs but to see them end, for the block; ready."""
        started = [self.fleet.add(self._beside(name)) for name in names]
        for worker in started:
            worker.start()
        try:
            for worker in started:
                worker.wait_ready()
            yield started
        finally:
            for worker in started:
                self.fleet.remove(worker)

    def _beside(self, name: str) -> Worker:
        service = named(name)
        told = {
            **self.ingest.environment,
            "HEALTH_URL": self.health.url,
            "CADENCE_SECRETS": "secret-of-tests-1",
        }
        if service.has_database:
            told[service.database_variable] = self.stack.fresh_database(name)
        module = f"services.{name}"
        return Worker(name, (module, "run"), told, service.port_variable, self.ingest.home)

    # --- brokers ---

    def leader_of(self, topic: str, number: int) -> int:
        """The id of the broker that leads a partition; -1 where none does."""
        return ask(raw.leaders_of(self.kafka.bootstrap, [topic]))[topic][number]

    def busiest_leader(self, topic: str = oracle.USAGE) -> int:
        """The broker that leads most partitions of a topic."""
        leaders = list(ask(raw.leaders_of(self.kafka.bootstrap, [topic]))[topic].values())
        return max(BROKERS, key=leaders.count)

    def kill_broker(self, number: int) -> int:
        """SIGKILL; its pid."""
        pid = self.broker_pid(number)
        self.kafka.kill_node(number)
        return pid

    def broker_pid(self, number: int) -> int:
        """Its process; 0 while it does not run."""
        process = self.kafka.process(number)
        return process.pid if process else 0

    def pause_broker(self, number: int) -> None:
        """SIGSTOP: its port still takes connections, and nothing answers."""
        process = psutil.Process(self.broker_pid(number))
        process.suspend()
        stopped = wait_until(
            lambda: process.status() == psutil.STATUS_STOPPED, timeout_seconds=FREEZE_SECONDS
        )
        assert stopped, f"broker {number} does not freeze"

    def resume_broker(self, number: int) -> None:
        """SIGCONT."""
        if pid := self.broker_pid(number):
            os.kill(pid, signal.SIGCONT)

    def start_brokers(self) -> None:
        """Bring back whichever broker does not run; wait until all serve."""
        for number in BROKERS:
            self.resume_broker(number)
            self.kafka.start_node(number)
        self.kafka.wait_ready()

    def await_replicas(self) -> None:
        """Wait until every replica of every partition is in sync: only then one may be lost."""
        topics = (*oracle.RAW_TOPICS, oracle.NOTED, *oracle.RUNTIME_TOPICS, "__consumer_offsets")
        copies = self.kafka.replication_factor
        assert wait_until(
            lambda: ask(raw.fewest_in_sync(self.kafka.bootstrap, topics)) == copies,
            timeout_seconds=REPLICAS_SECONDS,
        ), "some partition has replicas that are not in sync"

    # --- progress ---

    def applied_by(self, worker: Worker) -> int:
        """Sum of the offsets that a service has reached: grows with every batch."""
        name = "metrics" if worker.command == self.toy.command else worker.name
        found = ask(oracle.all_offsets(self.sources))
        return sum(offset for (database, *_), offset in found.items() if database == name)

    def toys_offsets(self) -> Mapping[raw.Place, int]:
        """How far the toy has read each partition."""
        found = ask(oracle.all_offsets(self.sources))
        return {place: offset for (name, _, place), offset in found.items() if name == "metrics"}

    def toys_offsets_passed(self, before: Mapping[raw.Place, int]) -> bool:
        """Whether every partition that has moved on in the log since then is read further too."""
        now = self.toys_offsets()
        ends = ask(raw.log_ends(self.kafka.bootstrap, list(before)))
        return all(now[place] > offset for place, offset in before.items() if ends[place] > offset)

    # --- coming to rest ---

    @property
    def spill(self) -> Path:
        """Where the edge keeps what Kafka has not taken yet."""
        return self.home / SPILL

    def spilled_bytes(self) -> int:
        """Bytes in the spill, as the disk says: what the edge tells of itself may be old."""
        return sum(self.spilled_files().values())

    def spilled_files(self) -> Mapping[str, int]:
        """The files in which something is spilled, with their bytes."""
        files = [file for file in self.spill.rglob("*") if file.is_file()]
        sizes = {str(file.relative_to(self.spill)): _size(file) for file in files}
        return {name: size for name, size in sizes.items() if size}

    def heal(self) -> None:
        """Take every fault away, whatever a row has left behind."""
        self.start_brokers()
        self.await_replicas()
        self.postgres.start()
        for worker in self.workers:
            worker.resume()
            worker.start()
            worker.wait_ready()

    def await_rest(self, within_seconds: float) -> float | None:
        """Seconds until everything that stands in a topic is applied and told; None when never."""
        began = time.monotonic()
        calm = _Calm(self)
        while time.monotonic() - began < within_seconds:
            if calm.looks_at_rest():
                return time.monotonic() - began
            time.sleep(LOOK_SECONDS)
        return None

    def why_restless(self) -> str:
        """What is still to be done, in words."""
        return _Calm(self).why_not() or "at rest"


class _Calm:
    """Whether nothing moves any more: two looks in a row, because one move causes the next."""

    def __init__(self, world: World) -> None:
        self._sources = world.sources
        self._world = world
        self._before: Mapping[object, int] | None = None

    def looks_at_rest(self) -> bool:
        ends = self._ends_when_done()
        same = ends is not None and ends == self._before
        self._before = ends
        return same

    def why_not(self) -> str | None:
        try:
            offsets, ends, waiting = ask(_moves(self._sources))
        except (OSError, TimeoutError, KafkaError, asyncpg.PostgresError) as error:
            return repr(error)
        behind = [
            f"{database} {group} {place.topic}/{place.number} {position} of {ends[place]}"
            for (database, group, place), position in offsets.items()
            if position != ends[place]
        ]
        spilled = self._world.spilled_files()
        outbox = {name: count for name, count in waiting.items() if count}
        if behind or outbox or spilled:
            return f"behind: {behind[:8]}, outbox: {outbox}, spilled: {spilled}"
        return None

    def _ends_when_done(self) -> Mapping[object, int] | None:
        with suppress(OSError, TimeoutError, KafkaError, asyncpg.PostgresError):
            offsets, ends, waiting = ask(_moves(self._sources))
            is_read = all(position == ends[place] for (*_, place), position in offsets.items())
            spilled = self._world.spilled_bytes()
            if is_read and not any(waiting.values()) and not spilled:
                return dict(ends)
        return None


def _size(file: Path) -> int:
    """Bytes of a file; 0 when it is gone meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


async def _moves(
    sources: Sources,
) -> tuple[dict[tuple[str, str, raw.Place], int], dict[raw.Place, int], dict[str, int]]:
    offsets = await oracle.all_offsets(sources)
    ends = await raw.log_ends(sources.bootstrap, {place for *_, place in offsets})
    return offsets, ends, await oracle.outboxes(sources)


# --- bringing it up ------------------------------------------------------------------------------


@contextmanager
def running_world(*, behind_proxies: bool = False) -> Iterator[World]:
    """Everything up and ready, on data of its own.

    `behind_proxies`: services reach each broker and the database through a fault proxy.
    """
    runtime, programs = prepare_runtime(), find_programs()
    with temporary_home() as home, ExitStack() as started:
        train(runtime, home)
        port = reserve()
        proxies = [started.enter_context(FaultProxy()) for _ in BROKERS if behind_proxies]
        ports = [proxy.port for proxy in proxies]
        kafka = three_brokers(home, runtime, advertised_ports=ports or None)
        for proxy, node in zip(proxies, kafka.brokers, strict=False):
            proxy.target_port = node.client_port
        postgres = Postgres(home, programs, port.port, durable=True)
        started.callback(port.release)
        started.callback(kafka.stop)
        started.callback(postgres.stop)
        postgres.start()
        kafka.start()
        contents.create_topics(kafka.bootstrap, kafka.replication_factor)
        ask(
            topics.create(kafka.bootstrap, [toy.NOTED], replication_factor=kafka.replication_factor)
        )
        stack = TemporaryStack(
            kafka.bootstrap, with_roles(postgres.administrator_url(), home), kafka, postgres
        )
        databases = {name: stack.fresh_database(name) for name in SERVICES}
        ask(_create_toy_tables(databases["metrics"]))
        told = databases
        if behind_proxies:
            proxies.append(started.enter_context(FaultProxy(port.port)))
            told = {name: _at_port(url, proxies[-1].port) for name, url in databases.items()}
        yield from _with_services(home, stack, databases, started, told=told, proxies=proxies)


def _at_port(url: str, port: int) -> str:
    """The same address on another port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))


def _with_services(
    home: Path,
    stack: TemporaryStack,
    databases: Mapping[str, str],
    started: ExitStack,
    *,
    told: Mapping[str, str],
    proxies: Sequence[FaultProxy],
) -> Iterator[World]:
    """`databases`: where the oracle looks; `told`: what the services are told instead."""
    assert stack.kafka is not None
    assert stack.postgres is not None
    fleet = Fleet()
    started.callback(fleet.stop)
    environment = {
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "KAFKA_GROUP_SUFFIX": f".{secrets.token_hex(4)}",
        "OPERATOR_KEY": OPERATOR_KEY,
        "INGEST_SPILL_DIRECTORY": str(home / SPILL),
        **BATCHES,
        **{f"DATABASE_URL_{name.upper()}": url for name, url in told.items()},
    }
    (home / SPILL).mkdir()
    logs = new_home("faults")

    def worker(name: str, module: str, service: str) -> Worker:
        command = (module, "run")
        variable = named(service).port_variable
        return fleet.add(Worker(name, command, environment, variable, logs))

    world = World(
        home=home,
        stack=stack,
        kafka=stack.kafka,
        postgres=stack.postgres,
        sources=Sources(stack.kafka_bootstrap, databases),
        fleet=fleet,
        proxies=proxies,
        ingest=worker("ingest", "services.ingest", "ingest"),
        health=worker("health", "services.health", "health"),
        toy=worker("toy", "tests.faults.toy", "metrics"),
    )
    fleet.start()
    for one in world.workers:
        one.start()
    for one in world.workers:
        one.wait_ready()
    yield world


async def _create_toy_tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in toy.TABLES:
        await connection.execute(statement)
    await connection.close()
