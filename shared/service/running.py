"""Runs a service: HTTP, consumers, relay and jobs in one process, ended in good order."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn

from shared.bus.consumer import Consumer, group_name
from shared.bus.jobs import JobRunner
from shared.bus.kafka.ends import LogEnds
from shared.bus.kafka.reader import KafkaReader
from shared.bus.kafka.writer import KafkaWriter
from shared.bus.relay import Relay
from shared.http import Check
from shared.service.door import KAFKA, serve, server_of
from shared.service.garbage import look_at_garbage_rarely
from shared.service.housekeeping import HOUSEKEEPING
from shared.service.probes import DatabaseProbe
from shared.service.stopping import stop_on_signals
from shared.service.value import Role, Service, Worker
from shared.service.watchdog import LaneWatchdog, LoopWatchdog

log = structlog.get_logger()


async def run(service: Service, roles: frozenset[Role] = frozenset(Role)) -> int:
    """Run until SIGTERM or SIGINT; the exit status. The supervisor mends what ends non-zero."""
    if Role.API in roles and service.prepare is not None:
        service.prepare()
    stopping = asyncio.Event()
    stop_on_signals(stopping, hard_after_seconds=service.settings.stop_seconds)
    parts = _Parts.of(service, roles)
    look_at_garbage_rarely()
    status = 0
    try:
        async with asyncio.TaskGroup() as group:
            for work in parts.work(stopping):
                group.create_task(work)
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

    service: Service
    server: uvicorn.Server | None
    consumers: list[Consumer]
    relay: Relay | None
    jobs: JobRunner | None
    workers: Sequence[Worker]
    writer: KafkaWriter | None
    probe: DatabaseProbe | None
    lanes: LaneWatchdog | None
    loop: LoopWatchdog

    @classmethod
    def of(cls, service: Service, roles: frozenset[Role]) -> "_Parts":
        owner = f"{service.name}@{socket.gethostname()}:{os.getpid()}"
        consumers = _consumers(service, owner) if Role.CONSUMER in roles else []
        relays = Role.RELAY in roles and service.database is not None
        writer = KafkaWriter(client_id=owner, settings=service.settings.kafka) if relays else None
        probe = DatabaseProbe(service.database) if service.database is not None else None
        lanes = _lane_watchdog(service, consumers, owner)
        return cls(
            service=service,
            server=server_of(service, consumers, _checks(probe, lanes))
            if Role.API in roles
            else None,
            consumers=consumers,
            relay=_relay(service, writer, owner),
            jobs=_jobs(service, owner) if Role.JOBS in roles else None,
            workers=service.workers if Role.JOBS in roles else (),
            writer=writer,
            probe=probe,
            lanes=lanes,
            loop=LoopWatchdog(service.name, patience_seconds=service.settings.loop_stall_seconds),
        )

    def work(self, stopping: asyncio.Event) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs side by side, each until `stopping`."""
        yield from (consumer.run(stopping) for consumer in self.consumers)
        if self.relay is not None:
            yield self.relay.run(stopping)
        if self.jobs is not None:
            yield self.jobs.run(stopping)
        yield from (worker(stopping) for worker in self.workers)
        if self.server is not None:
            yield serve(self.server, stopping)
        if self.probe is not None:
            yield self.probe.run(stopping)
        if self.lanes is not None:
            yield self.lanes.run(stopping)
        yield self.loop.run(stopping)

    async def close(self) -> None:
        """Give back what the pieces share."""
        if self.writer is not None:
            with suppress(TimeoutError):
                await self.writer.stop()
        if self.service.database is not None:
            await self.service.database.close()


def _checks(probe: DatabaseProbe | None, lanes: LaneWatchdog | None) -> dict[str, Check]:
    """What every process looks at for its readiness, beside the service's own checks."""
    checks: dict[str, Check] = {}
    if probe is not None:
        checks["database"] = probe.why_not_ready
    if lanes is not None:
        checks[KAFKA] = lanes.why_not_ready
    return checks


def _lane_watchdog(
    service: Service, consumers: Sequence[Consumer], owner: str
) -> LaneWatchdog | None:
    if not consumers or service.database is None:
        return None
    topics = {topic.name: topic for lane in service.lanes for topic in lane.topics}
    settings = service.settings.kafka
    return LaneWatchdog(
        service=service.name,
        consumers=consumers,
        database=service.database,
        ends=LogEnds(topics.values(), client_id=f"{owner}:ends", settings=settings),
        patience_seconds=settings.watchdog_seconds,
    )


def _relay(service: Service, writer: KafkaWriter | None, owner: str) -> Relay | None:
    if service.database is None or writer is None:
        return None
    return Relay(service=service.name, database=service.database, writer=writer, holder=owner)


def _jobs(service: Service, owner: str) -> JobRunner | None:
    if service.database is None:
        return None
    jobs = [*service.jobs, *HOUSEKEEPING]
    return JobRunner(service=service.name, database=service.database, jobs=jobs, holder=owner)


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
                group=group_name(service.name, lane) + service.settings.kafka.group_suffix,
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
    state = ahead.state
    return lambda: state.placed and state.lag == 0 and state.waiting_for is None
