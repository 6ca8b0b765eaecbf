"""A service as one value, and how it runs: HTTP, consumers, relay and jobs in one process.

`python -m services.<name> run [--roles api,consumer,relay,jobs] | migrate`.
"""

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import APIRouter, FastAPI
from pydantic import ValidationError
from starlette.types import ASGIApp

from shared import auth, dead_letters, telemetry
from shared.bus import tables
from shared.bus.consumer import Consumer
from shared.bus.handlers import BatchFold, Lane
from shared.bus.jobs import Job, JobRunner
from shared.bus.kafka.reader import KafkaReader
from shared.bus.kafka.writer import KafkaWriter
from shared.bus.redrive import redrive
from shared.bus.relay import Relay
from shared.clock import utc_now
from shared.db import Database, Tx
from shared.errors import MainstayError
from shared.events import ingest
from shared.http import Check, Counted, build_app
from shared.settings import ServiceSettings

log = structlog.get_logger()

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Role(StrEnum):
    """What a process does of a service; a hot role scales alone."""

    API = "api"
    CONSUMER = "consumer"
    RELAY = "relay"
    JOBS = "jobs"


# How keys and settings reach a service that does not issue them; a lane of its own, so that a new
# key works within 2 s however far behind the others are.
CONTROL_LANE = Lane(
    name="control",
    topics=(ingest.WORKSPACES, ingest.KEYS),
    folds=(
        BatchFold(on=(ingest.WorkspaceConfigured,), handle=auth.fold_workspaces),
        BatchFold(on=(ingest.KeyIssued, ingest.KeyRevoked), handle=auth.fold_keys),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Service:
    """All that makes one service different from another."""

    name: str
    description: str
    settings: ServiceSettings
    routers: Sequence[APIRouter]
    database: Database | None = None
    migrations: Path | None = None
    lanes: Sequence[Lane] = ()
    jobs: Sequence[Job] = ()
    lists_dead_letters: bool = True
    """False: the service's own route lists them, with more beside."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    """What the routes find at `request.app.state`, beside database, keys, clock and settings."""
    lifespan: Lifespan | None = None
    """Opened before the first request, closed after the last: what requests themselves need."""
    front: Callable[[ASGIApp], ASGIApp] | None = None
    """Stands before FastAPI: the one hot route that cannot pay for a framework."""


async def forget_old_ids(now: datetime, tx: Tx) -> Sequence[Any]:
    """Job: drop the inbox days that no repeat can reach any more."""
    await tables.ensure_inbox_days(tx, {now.date(), now.date() + timedelta(days=1)})
    await tables.forget_old_ids(tx, now)
    return []


HOUSEKEEPING = Job(name="forget_old_ids", every_seconds=3600.0, run=forget_old_ids)


def main(build: Callable[[], Service]) -> None:
    """The command line of a service. Exits 2 with one clear line when settings are missing."""
    parser = argparse.ArgumentParser(description="Run or prepare one service of Mainstay.")
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="serve, consume, relay and run jobs")
    run_command.add_argument(
        "--roles",
        type=_roles,
        default=frozenset(Role),
        help="what this process does, separated by commas (default: all)",
    )
    commands.add_parser("migrate", help="bring the service's own schema up to date")
    redrive_command = commands.add_parser("redrive", help="apply a dead letter after all")
    redrive_command.add_argument("dead_letter", help="id, as /v1/dead-letters shows it")
    redrive_command.add_argument("--by", required=True, help="your name, for the audit")
    arguments = parser.parse_args()
    try:
        service = build()
    except ValidationError as error:
        sys.exit(_settings_fault(error))
    telemetry.configure_logging(service.name, service.settings.log_level)
    match arguments.command:
        case "migrate":
            asyncio.run(_migrate(service))
        case "redrive":
            asyncio.run(_redrive(service, arguments.dead_letter, by=arguments.by))
        case _:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                sys.exit(runner.run(run(service, arguments.roles)))


def _roles(text: str) -> frozenset[Role]:
    """Roles from `api,consumer`. Raises ArgumentTypeError for a word that is no role."""
    try:
        return frozenset(map(Role, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; roles are {', '.join(Role)}") from error


def _settings_fault(error: ValidationError) -> str:
    """One line that names each setting at fault, never its value: it may be a secret."""
    faults = "; ".join(
        f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
        for found in error.errors(include_input=False)
    )
    return f"settings: {faults}"


async def _migrate(service: Service) -> None:
    if service.database is None or service.migrations is None:
        log.info("nothing_to_migrate")
        return
    # Here, not on top: Alembic is an eighth of every start, and only this command needs it.
    from shared.migrate import migrate  # noqa: PLC0415

    await migrate(
        service.database.engine.url.render_as_string(hide_password=False),
        schema=service.database.schema,
        directory=service.migrations,
    )
    log.info("migrated")


async def _redrive(service: Service, letter_id: str, *, by: str) -> None:
    """Apply one dead letter as an operator. Ends with one clear line when that cannot be."""
    if service.database is None:
        sys.exit(f"{service.name} keeps no dead letters")
    try:
        async with service.database.transaction() as tx:
            await redrive(tx, service.name, service.lanes, letter_id, workspace=None, by=by)
    except MainstayError as error:
        sys.exit(f"{error.code}: {error.message}")
    log.info("redriven", dead_letter=letter_id, by=by)


async def run(service: Service, roles: frozenset[Role] = frozenset(Role)) -> int:
    """Run until SIGTERM or SIGINT; the exit status. The supervisor mends what ends non-zero."""
    stopping = asyncio.Event()
    _stop_on_signals(stopping, hard_after_seconds=service.settings.stop_seconds)
    parts = _Parts.of(service, roles)
    # What is loaded now lives as long as the process, and a batch makes many objects that all live
    # till its commit: looking at either again and again cost a sixth of a wide batch's CPU.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    status = 0
    try:
        async with asyncio.TaskGroup() as group:
            for consumer in parts.consumers:
                group.create_task(consumer.run(stopping))
            if parts.relay is not None:
                group.create_task(parts.relay.run(stopping))
            if parts.jobs is not None:
                group.create_task(parts.jobs.run(stopping))
            group.create_task(_watch(service, parts, stopping))
            if parts.server is not None:
                group.create_task(_serve(parts.server, stopping))
            log.info("started", roles=sorted(roles), port=service.settings.port)
    except* Exception as failures:
        for failure in failures.exceptions:
            log.critical("ended_by_fault", error=repr(failure), exc_info=failure)
        status = 1
    finally:
        await parts.close()
    log.info("stopped", status=status)
    return status


@dataclass
class _Parts:
    """The running pieces of a service."""

    server: uvicorn.Server | None
    consumers: list[Consumer]
    relay: Relay | None
    jobs: JobRunner | None
    writer: KafkaWriter | None
    database: Database | None

    @classmethod
    def of(cls, service: Service, roles: frozenset[Role]) -> "_Parts":
        database = service.database
        owner = f"{service.name}@{socket.gethostname()}:{os.getpid()}"
        consumers = _consumers(service, owner) if Role.CONSUMER in roles else []
        relay, writer = None, None
        if database is not None and Role.RELAY in roles:
            writer = KafkaWriter(client_id=owner, settings=service.settings.kafka)
            relay = Relay(service=service.name, database=database, writer=writer, holder=owner)
        jobs = None
        if database is not None and Role.JOBS in roles:
            jobs = JobRunner(
                service=service.name,
                database=database,
                jobs=[*service.jobs, HOUSEKEEPING],
                holder=owner,
            )
        server = _server(service, consumers) if Role.API in roles else None
        return cls(server, consumers, relay, jobs, writer, database)

    async def close(self) -> None:
        """Give back what the pieces share."""
        if self.writer is not None:
            with suppress(TimeoutError):
                await self.writer.stop()
        if self.database is not None:
            await self.database.close()


def _consumers(service: Service, owner: str) -> list[Consumer]:
    """One consumer a lane; one that waits for another looks at that one's lag."""
    if not service.lanes:
        return []
    assert service.database is not None, "a service with lanes has a database"
    by_name: dict[str, Consumer] = {}
    for lane in service.lanes:
        ahead = by_name.get(lane.waits_for) if lane.waits_for else None
        by_name[lane.name] = Consumer(
            service=service.name,
            lane=lane,
            database=service.database,
            reader=KafkaReader(
                group=f"{service.name}.{lane.name}",
                topics=[topic.name for topic in lane.topics],
                client_id=owner,
                settings=service.settings.kafka,
            ),
            settings=service.settings.kafka,
            owner=owner,
            may_read=_without_lag(ahead),
        )
    return list(by_name.values())


def _without_lag(ahead: Consumer | None) -> Callable[[], bool]:
    if ahead is None:
        return lambda: True
    return lambda: ahead.state.placed and ahead.state.lag == 0


# --- HTTP --------------------------------------------------------------------------------------


def app_of(service: Service, consumers: Sequence[Consumer] = ()) -> FastAPI:
    """The service's HTTP door as a FastAPI app."""
    app = build_app(
        title=f"Mainstay {service.name}",
        description=service.description,
        checks={**service.checks, **_lane_checks(consumers)},
        lifespan=service.lifespan or (lambda _: nullcontext()),
    )
    app.state.settings = service.settings
    app.state.clock = utc_now
    if service.database is not None:
        app.state.database = service.database
        app.state.keys = auth.Keys(
            service.database, cache_seconds=service.settings.key_cache_seconds
        )
    for name, value in service.state.items():
        setattr(app.state, name, value)
    for router in service.routers:
        app.include_router(router)
    if service.lanes:
        if service.lists_dead_letters:
            app.include_router(dead_letters.listing)
        app.include_router(dead_letters.redriving(service.name, service.lanes))
    return app


def _lane_checks(consumers: Sequence[Consumer]) -> dict[str, Check]:
    return {f"lane {consumer.lane.name}": _lane_check(consumer) for consumer in consumers}


def _lane_check(consumer: Consumer) -> Check:
    def check() -> str | None:
        state = consumer.state
        if state.stopped_because:
            return f"stopped: {state.stopped_because}"
        if state.waiting_for:
            return f"waits for {state.waiting_for}"
        return None if state.placed else "has no partitions yet"

    return check


def _server(service: Service, consumers: Sequence[Consumer]) -> uvicorn.Server:
    app: ASGIApp = Counted(app_of(service, consumers), service=service.name)
    if service.front is not None:
        app = service.front(app)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=service.settings.host,
            port=service.settings.port,
            loop="none",
            http="httptools",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
    )


async def _serve(server: uvicorn.Server, stopping: asyncio.Event) -> None:
    """Serve until `stopping`; the signals are ours, so uvicorn's own capture is left out."""
    serving = asyncio.create_task(server._serve())  # noqa: SLF001
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    waiting.cancel()
    if not stopping.is_set():
        raise RuntimeError("the HTTP server ended by itself: is its port taken?")


# --- stopping and watching ---------------------------------------------------------------------


def _stop_on_signals(stopping: asyncio.Event, *, hard_after_seconds: float) -> None:
    """SIGTERM and SIGINT ask to stop; a stop that takes too long becomes a hard exit.

    A hard exit is safe: the transaction is the unit, and what was acknowledged stands.
    """

    def stop() -> None:
        log.info("stopping")
        stopping.set()
        timer = threading.Timer(hard_after_seconds, os._exit, args=(1,))
        timer.daemon = True
        timer.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


class Stalled(RuntimeError):
    """A lane has work and makes no progress: only a restart is known to help."""


async def _watch(service: Service, parts: _Parts, stopping: asyncio.Event) -> None:
    """Measure how late the loop wakes, and end the process when a lane stands still."""
    every = 1.0
    while not stopping.is_set():
        before = monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), every)
        telemetry.LOOP_LAG_SECONDS.labels(service.name).set(max(0.0, monotonic() - before - every))
        for consumer in parts.consumers:
            state = consumer.state
            stuck = state.idle_seconds() > service.settings.kafka.watchdog_seconds
            if stuck and not state.stopped_because and not state.waiting_for:
                raise Stalled(f"lane {consumer.lane.name}: {state.lag} records, no progress")
