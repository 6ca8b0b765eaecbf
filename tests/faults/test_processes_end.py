"""Every service is asked to end while it works."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.faults.fleet import Worker
from tests.faults.trial import Load, Trial, row

STOP_BOUND_SECONDS = 20.0


@row(
    44,
    "SIGTERM to every service under load",
    how="SIGTERM to all at one moment, again and again; all six, and the toy",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_a_service_that_is_asked_to_end_does_so_in_time_and_loses_nothing(trial: Trial):
    world = trial.world
    times = trial.scaled(smoke=2, full=50)
    others = trial.scaled(smoke=(), full=("cadence", "nps", "console", "metrics"))
    with world.beside(*others) as beside:
        services = [world.ingest, world.health, world.toy, *beside]
        with trial.load() as load:
            ends = [end for _ in range(times) for end in asked_to_end(services, load)]
        statuses = {life.exit_code for w in services for life in w.restarts_since(load.began_at)}
    trial.fired(terms=len(ends))
    assert max(ends) <= STOP_BOUND_SECONDS
    assert statuses == {0}, statuses
    trial.holds(f"ends within {max(ends):.1f} s, status 0")
    trial.assert_whole(load)

    hasty = ("--without", "ack_wait", "--without", "orderly_stop")
    with world.ingest.running_as(*hasty), trial.load() as control:
        for _ in range(2):
            control.await_more(40)
            world.ingest.terminate()
            world.ingest.wait_ready()
    trial.assert_broken(control, "R1", without="the wait for acks and the orderly stop")


def asked_to_end(workers: Sequence[Worker], load: Load) -> list[float]:
    """SIGTERM to all once they are ready and traffic has gone on; the seconds to each one's end."""
    for worker in workers:
        worker.wait_ready()
    load.await_more(40)
    with ThreadPoolExecutor(len(workers)) as threads:
        seconds = list(threads.map(Worker.terminate, workers))
    ended = [took for took in seconds if took is not None]
    assert len(ended) == len(workers), "a service did not run when it was asked to end"
    return ended
