"""Consumers are killed, frozen and stalled in the middle of their work."""

import time
from collections.abc import Sequence

from deploy.local.waiting import wait_until
from tests.faults.fleet import Worker
from tests.faults.sabotage import CONSUMER_POINTS
from tests.faults.trial import Load, Trial, row

STALLED = 70  # exit status of a process whose loop stood still


def kill_at_work(trial: Trial, workers: Sequence[Worker], rounds: int) -> int:
    """SIGKILL to all of them at once, each time some random moment after all got on; kills."""
    world = trial.world
    for _ in range(rounds):
        standing = [world.applied_by(worker) for worker in workers]
        assert wait_until(
            lambda standing=standing: all(  # type: ignore[misc]
                world.applied_by(worker) > before
                for worker, before in zip(workers, standing, strict=True)
            ),
            timeout_seconds=60,
        ), "no progress between two kills"
        time.sleep(trial.chance.uniform(0, 1.5))
        for worker in workers:
            worker.kill()
    return rounds * len(workers)


def await_deaths(worker: Worker, since: float, deaths: int, timeout_seconds: float) -> None:
    """Wait until a worker has ended so often since an instant."""
    assert wait_until(
        lambda: len(worker.restarts_since(since)) >= deaths, timeout_seconds=timeout_seconds
    ), f"{worker.name} died {len(worker.restarts_since(since))} times of {deaths}"


@row(
    1,
    "kill -9 of a consumer in the middle of a batch",
    how="SIGKILL at random moments at work, and at each point around the commit",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_a_consumer_killed_at_any_instruction_loses_and_doubles_nothing(trial: Trial):
    toy, health = trial.world.toy, trial.world.health
    deaths = trial.scaled(smoke=1, full=5) * len(CONSUMER_POINTS)
    points = [word for point in CONSUMER_POINTS for word in ("--die-at", point)]
    dying = (*points, "--in-turn", "--probability", "0.3", "--seed", trial.seed)
    # With the group's own patience a consumer would get on only every tenth second between kills.
    trial.usually("--quick-group")

    with trial.load(pause_seconds=trial.scaled(smoke=0.25, full=1.0)) as load:
        kills = kill_at_work(trial, (toy, health), trial.scaled(smoke=2, full=100))
        at = time.time()
        with toy.running_as(*dying, wait=False):
            await_deaths(toy, at, deaths + 1, timeout_seconds=deaths * 40)
    trial.fired(kills=kills, deaths_at_points=deaths)
    trial.assert_whole(load)

    dying = ("--without", "one_transaction", "--die-at", "after_cas", "--nth", "2")
    with trial.load() as control:
        at = time.time()
        with toy.running_as(*dying, wait=False):
            await_deaths(toy, at, 2, timeout_seconds=120)
    trial.assert_broken(control, "R2", without="offset and effect in one transaction")


@row(
    2,
    "kill -9 of a consumer and of a broker together",
    how="SIGKILL to the toy, to health and to the leader of most partitions at one moment",
    heals_within_seconds=60,
)
def test_a_consumer_and_its_broker_killed_together_lose_and_double_nothing(trial: Trial):
    world = trial.world

    def strike() -> None:
        broker = world.busiest_leader()
        world.kill_broker(broker)
        world.toy.kill()
        world.health.kill()
        time.sleep(trial.chance.uniform(1, 4))
        world.start_brokers()

    times = trial.scaled(smoke=1, full=3)
    with trial.load() as load:
        for _ in range(times):
            strike()
            load.await_more(20)
    trial.fired(brokers_killed=times, consumers_killed=2 * times)
    trial.assert_whole(load)
    trial.assert_rebuilt_is_live(world.health)

    dying = ("--without", "one_transaction", "--die-at", "after_cas", "--nth", "2")
    with trial.load() as control:
        at = time.time()
        with world.toy.running_as(*dying, wait=False):
            await_deaths(world.toy, at, 2, timeout_seconds=120)
            strike()
    trial.assert_broken(control, "R2", without="offset and effect in one transaction")


def freeze_until_passed(trial: Trial, load: Load, *without: str) -> float:
    """The toy freezes before it moves an offset, a peer takes its partitions over and goes on;
    then the toy thaws. Batches it was refused afterwards.
    """
    toy = trial.world.toy
    unprotected = [word for name in without for word in ("--without", name)]
    with (
        toy.running_as("--stop-at", "before_cas", "--nth", "5", *unprotected, wait=False),
        trial.world.peer_of(toy, *unprotected),
    ):
        assert wait_until(toy.is_paused, timeout_seconds=60), "the toy did not freeze"
        frozen_at = time.monotonic()
        standing = trial.world.toys_offsets()
        load.await_more(100)
        assert wait_until(lambda: trial.world.toys_offsets_passed(standing), timeout_seconds=90), (
            "no peer took over"
        )
        least = trial.scaled(smoke=0.0, full=60.0)
        time.sleep(max(0.0, least - (time.monotonic() - frozen_at)))
        toy.resume()
        load.await_more(100)
        return toy.metric("consumer_fenced_total")


@row(
    3,
    "a consumer frozen in the middle of a batch that comes back as a zombie",
    how="SIGSTOP before the compare-and-set, a peer takes over, SIGCONT",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_a_zombie_that_thaws_is_refused(trial: Trial):
    with trial.load() as load:
        fenced = freeze_until_passed(trial, load)
    trial.fired(fenced=fenced)
    trial.assert_whole(load)

    with trial.load() as control:
        freeze_until_passed(trial, control, "cas", "inbox")
    trial.assert_broken(control, "R2", without="compare-and-set and inbox")


@row(
    4,
    "the event loop stands still for 15 s",
    how="time.sleep(15) in the middle of a transaction",
    heals_within_seconds=30,
    allows=frozenset({"loop_stalled"}),
)
def test_a_stalled_loop_ends_the_process_and_nothing_is_lost(trial: Trial):
    toy = trial.world.toy
    stalling = ("--stall-at", "before_commit", "--nth", "3")

    def stall(*words: str) -> list[int | None]:
        at = time.time()
        with toy.running_as(*stalling, *words, wait=False):
            assert wait_until(lambda: "sabotage_fired" in toy.last_lines(), timeout_seconds=60)
            began = time.monotonic()
            wait_until(lambda: bool(ends_by_itself(toy, at)), timeout_seconds=14)
            ends = ends_by_itself(toy, at)
            time.sleep(max(0.0, 14 - (time.monotonic() - began)) if not ends else 0.0)
            return ends

    with trial.load() as load:
        ends = stall()
    trial.fired(ended_by_watchdog=ends.count(STALLED))
    trial.assert_whole(load)

    with trial.load():
        ends = stall("--without", "watchdog")
    assert STALLED not in ends
    trial.control_failed("watchdog", "the process does not end")


def ends_by_itself(worker: Worker, since: float) -> list[int | None]:
    """Exit statuses of a worker since an instant, but for orderly ends."""
    return [life.exit_code for life in worker.restarts_since(since) if life.exit_code]
