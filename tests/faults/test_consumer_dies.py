"""Consumers are killed, frozen and stalled in the middle of their work."""

import time
from collections.abc import Sequence

from deploy.local.waiting import wait_until
from tests.faults.fleet import Worker
from tests.faults.sabotage import CONSUMER_POINTS
from tests.faults.trial import Trial, row


def kill_in_turn(trial: Trial, workers: Sequence[Worker], kills: int) -> None:
    """SIGKILL to one after the other, anywhere from the middle of its start to some batches on."""
    for number in range(kills):
        worker = workers[number % len(workers)]
        wait_until(lambda worker=worker: worker.pid is not None, timeout_seconds=10)  # type: ignore[misc]
        time.sleep(trial.chance.uniform(0.3, 2.5))
        worker.kill()


def group(trial: Trial) -> tuple[str, ...]:
    """Words for a worker that may wait less for dead members of its group in the smoke form."""
    return trial.scaled(smoke=("--quick-group",), full=())


def await_deaths(worker: Worker, since: float, deaths: int, timeout_seconds: float) -> None:
    """Wait until a worker has ended by itself so often."""
    assert wait_until(
        lambda: len(worker.restarts_since(since)) >= deaths, timeout_seconds=timeout_seconds
    ), f"{worker.name} died {len(worker.restarts_since(since))} times of {deaths}"


@row(
    1,
    "kill -9 of a consumer in the middle of a batch",
    how="SIGKILL at random, and at each point around the commit",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_a_consumer_killed_at_any_instruction_loses_and_doubles_nothing(trial: Trial):
    toy, health = trial.world.toy, trial.world.health
    kills = trial.scaled(smoke=4, full=200)
    deaths = trial.scaled(smoke=1, full=5) * len(CONSUMER_POINTS)
    points = [word for point in CONSUMER_POINTS for word in ("--die-at", point)]
    dying = (*group(trial), *points, "--in-turn", "--probability", "0.3", "--seed", trial.seed)

    with trial.load() as load:
        with toy.running_as(*group(trial)), health.running_as(*group(trial)):
            kill_in_turn(trial, (toy, health), kills)
        at = time.time()
        with toy.running_as(*dying, wait=False), health.running_as(*dying, wait=False):
            for worker in (toy, health):
                await_deaths(worker, at, deaths + 1, timeout_seconds=deaths * 40)
    trial.fired(kills=kills, deaths_at_points=2 * deaths)
    trial.assert_whole(load)

    dying = (*group(trial), "--without", "one_transaction", "--die-at", "after_cas", "--nth", "2")
    with trial.load() as control:
        at = time.time()
        with toy.running_as(*dying, wait=False):
            await_deaths(toy, at, 3, timeout_seconds=120)
    trial.assert_broken(control, "R2", without="offset and effect in one transaction")
