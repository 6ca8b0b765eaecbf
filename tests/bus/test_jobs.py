"""Jobs run when they are due by the database's clock, once, whoever looks."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from shared.bus.jobs import Job, JobRunner
from shared.db import Database, Tx, rows
from shared.errors import TransientError
from shared.events.base import Caused
from shared.events.ingest import KeyRevoked


def runner(database: Database, job: Job, holder: str = "one") -> JobRunner:
    return JobRunner(service="metrics", database=database, jobs=[job], holder=holder)


async def test_a_job_runs_once_until_it_is_due_again(database: Database):
    ran: list[datetime] = []

    async def note(now: datetime, _: Tx) -> Sequence[Caused]:
        ran.append(now)
        return []

    job = Job(name="note", every_seconds=3600, run=note)
    runners = [runner(database, job, holder) for holder in ("one", "two", "three")]

    await asyncio.gather(*(each._run_if_due(job) for each in runners for _ in range(3)))

    assert len(ran) == 1


async def test_what_a_job_causes_stands_in_the_outbox_only_if_it_ends_well(database: Database):
    outcomes = iter([TransientError("not now"), None])

    async def revoke(now: datetime, _: Tx) -> Sequence[Caused]:
        if (fault := next(outcomes)) is not None:
            raise fault
        event = KeyRevoked(key_id="k", revoked_at=now)
        return [Caused(event=event, workspace="w", cause_id="job 1", time=now)]

    job = Job(name="revoke", every_seconds=0, run=revoke)

    await runner(database, job)._run_if_due(job)
    async with database.transaction() as tx:
        after_fault = await rows(tx, "SELECT key FROM outbox")
    await runner(database, job)._run_if_due(job)

    async with database.transaction() as tx:
        assert (after_fault, [row.key for row in await rows(tx, "SELECT key FROM outbox")]) == (
            [],
            ["w/"],
        )
