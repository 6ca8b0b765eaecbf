"""PostgreSQL restarts, loses a backend, locks, runs into deadlocks and stands open."""

import time
from collections.abc import Callable

from deploy.local.waiting import wait_until
from tests.faults.fleet import Worker
from tests.faults.sessions import (
    altered,
    await_backend,
    kill_backend,
    restart_immediately,
    session_of,
)
from tests.faults.trial import Load, Trial, row

COMMIT_WAITS = (
    "wait_event = 'SyncRep' AND pid IN (SELECT pid FROM pg_locks"
    " WHERE relation = 'metrics.consumer_offset'::regclass AND mode = 'RowExclusiveLock')"
)


def in_the_middle(trial: Trial, strike: Callable[[], bool], *without: str) -> bool:
    """Do `strike` while the toy stands between the move of its offsets and the effect."""
    toy = trial.world.toy
    words = [word for name in without for word in ("--without", name)]
    mark = toy.log_size()
    with toy.running_as("--stall-at", "after_cas", "--stall-seconds", "2.5", "--nth", "3", *words):
        assert wait_until(lambda: _has_stalled(toy, mark), timeout_seconds=60), "no stall"
        return strike()


def _has_stalled(worker: Worker, mark: int) -> bool:
    return any("sabotage_fired" in line for line in worker.logged_since(mark))


@row(
    19,
    "PostgreSQL restarts under load, aborting what is under way",
    how="immediate shutdown at random and in the middle of a batch, start with recovery",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_immediate_restarts_of_the_database_lose_and_double_nothing(trial: Trial):
    times = trial.scaled(smoke=1, full=19)
    restarted = 0
    with trial.load() as load:
        for _ in range(times):
            restarted += restart_immediately(trial.world)
            time.sleep(trial.chance.uniform(0.2, 2.0))
        load.await_more(10)
        amid = in_the_middle(trial, lambda: restart_immediately(trial.world))
    trial.fired(restarts=restarted, amid_a_batch=amid)
    trial.assert_whole(load)

    with trial.load() as control:
        in_the_middle(trial, lambda: restart_immediately(trial.world), "one_transaction")
    trial.assert_broken(control, "R2", without="offset and effect in one transaction")
