"""Brokers are killed, frozen and brought back under the edge and the consumers."""

import time
from contextlib import suppress

import httpx
from aiokafka.errors import KafkaError

from deploy.local.waiting import ask, wait_until
from tests.faults import oracle, raw
from tests.faults.trial import Load, Trial, row
from tests.faults.world import BROKERS, World

FREEZE_SECONDS = 1.5  # below the brokers' session of 3 s: the controller notices nothing
FENCED_SECONDS = 6.0  # twice that session: a frozen broker is out of every in-sync set
RESUME_SECONDS = 30.0
OUTAGE_MEMORY_BYTES = 128 * 1024 * 1024
REQUEST_SECONDS = 8.0  # the producers' request timeout
DRAIN_SECONDS = 60.0


def lose_leader(world: World, load: Load, *, followers_frozen: bool) -> float:
    """SIGKILL to the leader of a partition in use; when.

    With its followers frozen for a moment before, it alone has the last records: a word of it
    alone is worth nothing.
    """
    place = load.first_place(world.kafka.bootstrap)
    leader = world.leader_of(place.topic, place.number)
    followers = [broker for broker in BROKERS if broker != leader and followers_frozen]
    for broker in followers:
        world.pause_broker(broker)
    if followers:
        time.sleep(FREEZE_SECONDS)
    world.kill_broker(leader)
    killed_at = time.time()
    for broker in followers:
        world.resume_broker(broker)
    return killed_at


def assert_one_word_is_lost(trial: Trial) -> None:
    """The control of all rows that kill a leader: a 200 on the leader's word alone is lost."""
    world = trial.world
    with world.ingest.running_as("--without", "acks_of_all"), trial.load() as control:
        lose_leader(world, control, followers_frozen=True)
        control.await_more(50)
        world.start_brokers()
    trial.assert_broken(control, "R1", without="acks of all in-sync replicas")


@row(
    5,
    "kill -9 of a partition's leader",
    how="SIGKILL to the broker, plainly and with its followers frozen for a moment",
    heals_within_seconds=30,
    in_smoke=True,
)
def test_a_dead_leader_costs_latency_and_no_acknowledged_event(trial: Trial):
    world = trial.world
    with trial.load() as load:
        resumed = []
        for frozen in trial.scaled(smoke=(True,), full=(False, True, False, True)):
            killed_at = lose_leader(world, load, followers_frozen=frozen)
            resumed.append(load.await_every_account(killed_at, RESUME_SECONDS))
            world.start_brokers()
    trial.fired(leaders_killed=len(resumed))
    trial.holds(f"2xx for every account again after {max(resumed):g} s")
    trial.assert_whole(load)

    assert_one_word_is_lost(trial)


@row(
    8,
    "a leader bounced five times with kill -9",
    how="SIGKILL and restart, five times in a row",
    heals_within_seconds=30,
)
def test_a_leader_that_is_bounced_again_and_again_wedges_nobody(trial: Trial):
    world = trial.world
    with trial.load() as load:
        resumed = []
        for _ in range(5):
            killed_at = lose_leader(world, load, followers_frozen=False)
            world.start_brokers()
            resumed.append(load.await_every_account(killed_at, RESUME_SECONDS))
        edge = world.ingest.logged_since(load.logs[world.ingest])
    trial.fired(leaders_killed=len(resumed))
    assert not [line for line in edge if "OutOfOrderSequence" in line]
    trial.holds(f"no wedge; 2xx again after {max(resumed):g} s")
    trial.assert_whole(load)

    assert_one_word_is_lost(trial)


def outage(
    trial: Trial, load: Load, brokers: tuple[int, ...], seconds: float
) -> tuple[float, float]:
    """These brokers are dead for so long; from when to when."""
    world = trial.world
    for broker in brokers:
        world.kill_broker(broker)
    began = time.time()
    load.await_every_account(began, RESUME_SECONDS)
    time.sleep(max(0.0, seconds - (time.time() - began)))
    ended = time.time()
    return began, ended


def assert_served_by_spill(trial: Trial, load: Load, began: float, ended: float) -> None:
    """During an outage the edge says 200, to every account, and says 503 quickly or not at all."""
    accepted = load.ledger.count(200, since=began, until=ended)
    trial.fired(told_200_meanwhile=accepted)
    refused = load.ledger.slowest(503, since=began, until=ended)
    assert refused < 8.0, f"a 503 took {refused:.1f} s"
    trial.holds(f"{accepted} requests told 200 meanwhile")


@row(
    9,
    "all brokers down for a minute",
    how="SIGKILL to all three, then restart",
    heals_within_seconds=60,
    in_smoke=True,
)
def test_an_edge_without_kafka_keeps_what_it_acknowledges(trial: Trial):
    world = trial.world
    seconds = trial.scaled(smoke=8.0, full=60.0)
    with trial.load() as load:
        began, ended = outage(trial, load, BROKERS, seconds)
        spilled = world.ingest.metric("ingest_spilled_events_total")
        grown = world.ingest.footprint()[0] - load.footprints[world.ingest][0]
        world.start_brokers()
    trial.fired(brokers_killed=len(BROKERS), spilled=spilled)
    assert_served_by_spill(trial, load, began, ended)
    assert grown < OUTAGE_MEMORY_BYTES, f"memory grew by {grown} bytes"
    trial.holds(f"memory grew by {grown / 2**20:.0f} MiB")
    trial.assert_whole(load)
    restarts = sum(len(worker.restarts_since(began)) for worker in world.workers)
    trial.holds(f"{restarts} processes restarted")

    with world.ingest.running_as("--without", "spill_write"), trial.load() as control:
        outage(trial, control, BROKERS, 4.0)
        world.start_brokers()
    trial.assert_broken(control, "R1", without="the spill's write")


@row(
    11,
    "two of three brokers down: fewer than min.insync.replicas",
    how="SIGKILL to two, then restart",
    heals_within_seconds=60,
)
def test_fewer_replicas_than_asked_for_give_no_false_2xx(trial: Trial):
    world = trial.world
    with trial.load() as load:
        began, ended = outage(trial, load, BROKERS[:2], 30.0)
        usage = {place: n for place, n in load.begins.items() if place.topic == oracle.USAGE}
        read = ask(raw.read_some(world.kafka.bootstrap, usage, seconds=3))
        answer = httpx.get(f"{world.health.url}/health", timeout=5, trust_env=False)
        spilled = world.ingest.metric("ingest_spilled_events_total")
        world.start_brokers()
    trial.fired(brokers_killed=2, spilled=spilled, still_readable=read)
    assert answer.status_code == httpx.codes.OK
    assert_served_by_spill(trial, load, began, ended)
    trial.holds("reads go on")
    trial.assert_whole(load)

    with world.ingest.running_as("--without", "spill_write"), trial.load() as control:
        outage(trial, control, BROKERS[:2], 12.0)
        world.start_brokers()
    trial.assert_broken(control, "R1", without="the spill's write")


def lose_all_leaders(world: World, load: Load) -> None:
    """Every partition has no leader for three request timeouts, and a broker is there to say so.

    The frozen one is no in-sync replica any more when the others die: thawed, it may lead nothing.
    What a producer has waiting for a partition then expires unsent, and an idempotent one has
    counted it: all it sends later is out of order.
    """
    witness, *others = BROKERS
    world.pause_broker(witness)
    time.sleep(FENCED_SECONDS)
    for broker in others:
        world.kill_broker(broker)
    began = time.time()
    world.resume_broker(witness)
    assert wait_until(lambda: is_leaderless(world), timeout_seconds=RESUME_SECONDS)
    load.await_every_account(began, RESUME_SECONDS)
    time.sleep(3 * REQUEST_SECONDS)
    world.start_brokers()


def is_leaderless(world: World) -> bool:
    """Whether a broker answers and says that nobody leads any partition of the usage."""
    with suppress(KafkaError, OSError, TimeoutError):
        leaders = ask(raw.leaders_of(world.kafka.bootstrap, [oracle.USAGE]))[oracle.USAGE]
        return set(leaders.values()) == {-1}
    return False


@row(
    12,
    "partitions without leader for longer than the request timeout, idempotence on",
    how="SIGKILL to all in-sync replicas, a broker that may not lead is left, restart after 24 s",
    heals_within_seconds=60,
)
def test_a_wedged_idempotent_producer_is_replaced(trial: Trial):
    world = trial.world
    idempotent = {"KAFKA_IDEMPOTENCE": "true"}
    with world.ingest.running_as(environment=idempotent):
        with trial.load() as load:
            lose_all_leaders(world, load)
            assert wait_until(lambda: is_drained(world), timeout_seconds=DRAIN_SECONDS)
        trial.assert_whole(load)
        edge = world.ingest.logged_since(load.logs[world.ingest])
        wedged = sum("producer_rebuilt" in one and "OutOfOrderSequence" in one for one in edge)
    trial.fired(brokers_killed=len(BROKERS) - 1, wedged=wedged)
    trial.holds("the spill is drained")

    # R would stay green: the spill holds what a wedged producer cannot hand over, and the next
    # start would drain it. Until then no event of these partitions comes out.
    without = ("--without", "producer_supervisor")
    with world.ingest.running_as(*without, environment=idempotent), trial.load() as control:
        lose_all_leaders(world, control)
        assert not wait_until(lambda: is_drained(world), timeout_seconds=DRAIN_SECONDS)
    trial.control_failed("the producer's supervisor", "the spill is drained")


def is_drained(world: World) -> bool:
    """Whether nothing waits in the spill, as the disk says."""
    return not world.spilled_bytes()


@row(
    13,
    "a broker frozen for 90 s: its port takes connections, nothing answers",
    how="SIGSTOP to the leader of a partition in use, then SIGCONT",
    heals_within_seconds=60,
)
def test_a_frozen_broker_holds_the_edge_up_for_a_request_timeout_at_most(trial: Trial):
    world = trial.world

    def freeze(load: Load, seconds: float, bound_seconds: float) -> float:
        place = load.first_place(world.kafka.bootstrap)
        leader = world.leader_of(place.topic, place.number)
        world.pause_broker(leader)
        frozen_at = time.time()
        try:
            resumed = load.await_every_account(frozen_at, bound_seconds)
            time.sleep(max(0.0, seconds - (time.time() - frozen_at)))
        finally:
            world.resume_broker(leader)
        return resumed

    with trial.load() as load:
        resumed = freeze(load, 90.0, REQUEST_SECONDS + 10)
    trial.fired(brokers_frozen=1)
    trial.holds(f"2xx for every account again after {resumed:g} s")
    trial.assert_whole(load)

    no_bounds = {"INGEST_ACK_SECONDS_WITHOUT_SPILL": "90", "INGEST_SPILL_DIRECTORY": None}
    with (
        world.ingest.running_as("--without", "request_bounds", environment=no_bounds),
        trial.load() as control,
    ):
        try:
            freeze(control, 0.0, REQUEST_SECONDS + 10)
        except AssertionError:
            trial.control_failed("bounds of requests", "2xx")
        else:
            raise AssertionError("without bounds of requests every account was served all the same")
