"""The consumer group rebalances, is slow, and says something else than our own table."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

from deploy.local.waiting import ask, wait_until
from tests.faults import oracle, raw, tampering
from tests.faults.fleet import Worker
from tests.faults.members import Strangers
from tests.faults.raw import Place
from tests.faults.trial import Load, Trial, row
from tests.faults.world import World

STALL_SECONDS = 60.0  # without any progress, under a storm


def group_of(world: World) -> str:
    """The toy's group in Kafka."""
    return f"metrics.toy{world.toy.environment['KAFKA_GROUP_SUFFIX']}"


def strangers_of(trial: Trial, **options: float) -> Strangers:
    """Strangers in the toy's group."""
    world = trial.world
    told = {"at_once": 1, "stay_seconds": 1.0, "vanish_share": 0.0, **options}
    return Strangers(
        world.kafka.bootstrap,
        group_of(world),
        oracle.USAGE,
        trial.seed,
        at_once=int(told["at_once"]),
        stay_seconds=told["stay_seconds"],
        vanish_share=told["vanish_share"],
    )


# --- a storm -------------------------------------------------------------------------------------


@row(
    31,
    "a rebalance storm",
    how="a member joins and leaves or vanishes every second, and a peer is killed now and then",
    heals_within_seconds=60,
)
def test_a_group_that_never_rests_makes_progress_and_applies_everything_once(trial: Trial):
    seconds = trial.scaled(smoke=20.0, full=300.0)

    with trial.load(pause_seconds=0.4) as load:
        strangers = strangers_of(trial, at_once=2, vanish_share=0.1)
        with trial.world.peer_of(trial.world.toy) as peer, strangers.coming_and_going():
            stall, kills = watch_progress(trial, load, peer, seconds)
    trial.fired(joins=strangers.joins, peers_killed=kills)
    trial.assert_whole(load)
    assert stall < STALL_SECONDS, f"no progress for {stall:.0f} s"
    trial.holds(f"longest stall {stall:.1f} s")

    slow = ("--without", "cas", "--without", "inbox", "--stall-at", "before_commit")
    often = ("--stall-seconds", "8", "--probability", "0.2", "--quick-group")
    with (
        trial.load() as control,
        trial.world.toy.running_as(*slow, *often),
        trial.world.peer_of(trial.world.toy, "--without", "cas", "--without", "inbox"),
    ):
        control.await_more(100)
        time.sleep(30)
    trial.assert_broken(control, "R2", without="compare-and-set and inbox")


def watch_progress(trial: Trial, load: Load, peer: Worker, seconds: float) -> tuple[float, int]:
    """Longest stall of all partitions together, in seconds, and how often the peer was killed."""
    began = time.monotonic()
    moved = [began]
    before: Mapping[Place, int] = {}
    kills = 0
    while (now := time.monotonic()) < began + seconds:
        offsets = trial.world.toys_offsets()
        if offsets != before:
            moved.append(now)
        before = offsets
        if now - began > 15 * (kills + 1):
            peer.kill()
            kills += 1
        time.sleep(0.5)
    load.await_more(1)
    return max(later - earlier for earlier, later in pairwise([*moved, began + seconds])), kills


# --- a slow callback -----------------------------------------------------------------------------


def early_records(trial: Trial, load: Load, rebalances: int, *without: str) -> tuple[int, int]:
    """Assignments whose callback lasted, and records that came before our own place was known."""
    toy = trial.world.toy
    words = [word for name in without for word in ("--without", name)]
    mark = toy.log_size()
    patient = {"KAFKA_BATCH_WAIT_MS": "1000"}  # a fetch is under way when the group moves
    with toy.running_as("--assign-seconds", "2", *words, environment=patient):
        strangers = strangers_of(trial, stay_seconds=0.1)

        def enough() -> bool:
            # Unprotected, whether a record comes early is chance: so until one does.
            early = count(toy, mark, "record_before_place")
            return strangers.joins >= rebalances and (not without or early > 0)

        with strangers.coming_and_going():
            assert wait_until(enough, timeout_seconds=120), f"{strangers.joins} joins"
        load.await_more(20)
    return count(toy, mark, "assigned_slowly"), count(toy, mark, "record_before_place")


def count(worker: Worker, mark: int, event: str) -> int:
    """Lines of that name that a worker has logged behind a mark."""
    return sum(f'"{event}"' in line for line in worker.logged_since(mark))


@row(
    32,
    "a callback of an assignment that lasts 2 s",
    how="members join and leave, the toy's callback sleeps in the middle of a fetch",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_no_record_comes_before_our_own_place_is_known(trial: Trial):
    rebalances = trial.scaled(smoke=2, full=8)

    with trial.load() as load:
        slow, early = early_records(trial, load, rebalances)
    trial.fired(slow_assignments=slow)
    trial.assert_whole(load)
    assert early == 0
    trial.holds("no record before its place")

    with trial.load() as control:
        slow, early = early_records(trial, control, rebalances, "pause_first")
    assert early > 0, f"{slow} slow assignments, and no record came early"
    trial.control_failed("pause first", f"no record before its place ({early} came)")


# --- Kafka's own offsets -------------------------------------------------------------------------


@row(
    33,
    "Kafka's offsets of the group are deleted, far ahead, or far behind",
    how="the group is deleted, then set to the log's ends, beyond them, and to 0",
    heals_within_seconds=30,
)
def test_what_kafka_says_of_our_offsets_is_ignored(trial: Trial):
    world = trial.world

    with trial.load() as load:
        tamper(world, load, partial(forget_group, world))
        for ahead in (0, 1_000_000):
            tamper(world, load, partial(set_to_end, world, ahead))
        tamper(world, load, partial(set_to_start, world))
    trial.fired(tampered=4)
    trial.assert_whole(load)

    with trial.load() as control:
        world.toy.stop()
        control.await_more(40)
        set_to_end(world, 0)
        with world.toy.running_as("--without", "own_offsets"):
            control.await_more(20)
    trial.assert_broken(control, "R2", without="offsets of our own")


def tamper(world: World, load: Load, act: Callable[[], None]) -> None:
    """Do `act` while the group is empty and records wait; then the toy goes on."""
    world.toy.stop()
    load.await_more(40)
    act()
    world.toy.start()
    world.toy.wait_ready()
    load.await_more(20)


def forget_group(world: World) -> None:
    """Let Kafka know nothing of the group."""
    tampering.delete_group(world.kafka.bootstrap, group_of(world))
    told = tampering.group_offsets(world.kafka.bootstrap, group_of(world))
    assert all(offset < 0 for offset in told.values()), f"Kafka still says {told}"


def set_to_end(world: World, ahead: int) -> None:
    """Let Kafka say that all is read, and `ahead` more."""
    ends = ask(raw.topic_ends(world.kafka.bootstrap, [oracle.USAGE]))
    told = {place: end + ahead for place, end in ends.items()}
    _set(world, told)


def set_to_start(world: World) -> None:
    """Let Kafka say that nothing is read."""
    _set(world, dict.fromkeys(world.toys_offsets(), 0))


def _set(world: World, offsets: Mapping[Place, int]) -> None:
    tampering.set_group(world.kafka.bootstrap, group_of(world), offsets)
    told = tampering.group_offsets(world.kafka.bootstrap, group_of(world))
    assert {place: told[place] for place in offsets} == offsets, f"Kafka says {told}"
