"""The clock's door: jobs that are due by the database's clock, one process at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from shared import telemetry
from shared.bus import tables
from shared.bus.record import outgoing
from shared.bus.retry import reason
from shared.bus.stop import pause
from shared.db import Database, Tx, rows
from shared.errors import MainstayError
from shared.events.base import Caused

log = structlog.get_logger()

LOOK_SECONDS = 1.0  # how often we look whether a job is due
LEASE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something that time itself causes. `run` gets the database's now and the transaction."""

    name: str
    every_seconds: float
    run: Callable[[datetime, Tx], Awaitable[Sequence[Caused]]]
    forgets: bool = False
    """It only deletes what is too old, and so does a rebuild, as of the day that it folds."""


class JobRunner:
    """Runs a service's jobs when they are due."""

    def __init__(
        self, *, service: str, database: Database, jobs: Sequence[Job], holder: str
    ) -> None:
        self._service = service
        self._database = database
        self._jobs = jobs
        self._holder = holder

    async def run(self, stopping: asyncio.Event) -> None:
        """Look for due jobs until `stopping` is set."""
        while not stopping.is_set():
            for job in self._jobs:
                await self._run_if_due(job)
            await pause(stopping, LOOK_SECONDS)

    async def _run_if_due(self, job: Job) -> None:
        """Run `job` in one transaction when it is due and nobody else runs it."""
        try:
            async with self._database.transaction() as tx:
                ran = await self._run_in(tx, job)
            outcome = "done" if ran else "not_due"
        except MainstayError as error:
            log.warning("job_failed", job=job.name, code=reason(error), error=str(error))
            outcome = "failed"
        except Exception:
            # A bug in one job must not end the others, nor the consumers beside them.
            log.exception("job_failed", job=job.name)
            outcome = "failed"
        if outcome != "not_due":
            telemetry.JOB_RUNS.labels(self._service, job.name, outcome).inc()

    async def _run_in(self, tx: Tx, job: Job) -> bool:
        """Whether it was due. The lease row is locked until the commit, so nobody runs it twice."""
        lease = f"job:{job.name}"
        if not await tables.is_due(tx, lease):
            return False
        if await tables.take_lease(tx, lease, holder=self._holder, seconds=LEASE_SECONDS) is None:
            return False
        if not await tables.is_due(tx, lease):  # somebody ran it while we waited for the row
            return False
        (clock,) = await rows(tx, "SELECT now() AS now")
        caused = await job.run(clock.now, tx)
        await tables.append_outbox(
            tx, [outgoing(event, source=f"/{self._service}") for event in caused]
        )
        await tables.set_due(tx, lease, in_seconds=job.every_seconds)
        return True
