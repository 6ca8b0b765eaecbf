"""What we have not read yet is deleted, or the whole topic is: nobody may jump over that."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from deploy.local.waiting import ask, wait_until
from tests.faults import oracle, raw, tampering
from tests.faults.raw import Place
from tests.faults.sessions import session_of
from tests.faults.trial import Load, Trial, row
from tests.faults.world import Tenant, World

HISTORY = "ingest.usage.history.v1"
PARTITIONS = 12
PATIENCE_SECONDS = 60.0
# The lane says why it stops, and the edge that what it had acknowledged is gone.
TOLD = frozenset({"lane_stopped", "acknowledged_events_lost"})
STANDS_SECONDS = 8.0  # so long the offsets of a stopped lane are looked at


def import_history(world: World, tenant: Tenant, mark: str, accounts: int = 24) -> None:
    """Bring some history of so many accounts; returns when it is told 200."""
    batch = [
        {
            "type": "track",
            "messageId": f"{tenant.workspace}-{mark}-{number}",
            "userId": f"{tenant.workspace}-u{number}",
            "event": "Worked",
            "timestamp": "2026-02-03T04:05:06Z",
            "context": {"groupId": f"{tenant.workspace}-h{number}"},
            "properties": {"seq": 0, "marker": tenant.workspace},
        }
        for number in range(accounts)
    ]

    def told() -> bool:
        try:
            answer = httpx.post(
                f"{world.ingest.url}/v1/import",
                auth=(tenant.key, ""),
                json={"batch": batch},
                timeout=15,
                trust_env=False,
            )
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK

    assert wait_until(told, timeout_seconds=PATIENCE_SECONDS), "history is not taken"


def history_offsets(world: World) -> Mapping[Place, int]:
    """How far health has read history."""
    found = ask(oracle.all_offsets(world.sources))
    return {
        place: offset
        for (name, _, place), offset in found.items()
        if name == "health" and place.topic == HISTORY
    }


def history_ends(world: World) -> Mapping[Place, int]:
    """Where the logs of history end."""
    return ask(raw.topic_ends(world.kafka.bootstrap, [HISTORY]))


def await_history_read(world: World) -> None:
    """Wait until health has applied all history there is."""
    assert wait_until(
        lambda: history_offsets(world) == history_ends(world), timeout_seconds=PATIENCE_SECONDS
    ), f"history is not read: {history_offsets(world)} of {history_ends(world)}"


def has_stopped(world: World) -> bool:
    """Whether readiness is red and names the lane with its reason."""
    told = world.health.readiness()
    return "lane history" in told and "stopped" in told and not world.health.is_ready()


def assert_stands(trial: Trial, load: Load) -> None:
    """The lane has stopped and says so; its offsets stay; the process and the live lane go on."""
    world = trial.world
    pid, mark = world.health.pid, history_offsets(world)
    live = live_offsets(world)
    load.await_more(20)
    time.sleep(STANDS_SECONDS)

    assert has_stopped(world), world.health.readiness()
    assert history_offsets(world) == mark
    assert world.health.pid == pid
    assert sum(live_offsets(world).values()) > sum(live.values())
    trial.holds("the lane stops and says why, no offset jumps, the live lane goes on")


def live_offsets(world: World) -> Mapping[Place, int]:
    """How far health has read the live topic."""
    found = ask(oracle.all_offsets(world.sources))
    return {
        place: offset
        for (name, _, place), offset in found.items()
        if name == "health" and place.topic == oracle.USAGE
    }


@contextmanager
def decided_at_last(world: World) -> Iterator[None]:
    """Behind the block, an operator decides from where history is read, and starts anew whoever
    reads it: health, and ingest for its receipts.
    """
    try:
        yield
    finally:
        begins, ends = ask(raw.log_begins(world.kafka.bootstrap, [HISTORY])), history_ends(world)
        for service, worker in (("health", world.health), ("ingest", world.ingest)):
            with session_of(world, service) as session:
                for place, begin in begins.items():
                    session.execute(
                        f"UPDATE {service}.consumer_offset SET next_offset = {begin}"
                        f" WHERE topic = '{HISTORY}' AND part = {place.number}"
                        f" AND NOT next_offset BETWEEN {begin} AND {ends[place]}"
                    )
            worker.kill()
            worker.start()
            worker.wait_ready()


# --- records are deleted -------------------------------------------------------------------------


@row(
    34,
    "records are deleted that we have not read",
    how="DeleteRecords past the position of health's history lane",
    heals_within_seconds=60,
    allows=TOLD,
)
def test_a_lane_whose_offset_is_gone_stops_and_never_jumps(trial: Trial):
    world = trial.world
    tenant = world.new_tenant()

    with trial.load() as load, decided_at_last(world):
        deleted = delete_unread(world, tenant, "lost")
        world.health.start()
        assert wait_until(lambda: has_stopped(world), timeout_seconds=PATIENCE_SECONDS)
        assert_stands(trial, load)
    trial.fired(records_deleted=deleted)
    trial.assert_whole(load)

    jumping = ("--without", "stop_at_lost_offset")
    with trial.load(), world.health.running_as(*jumping), decided_at_last(world):
        delete_unread(world, tenant, "jumped")
        standing = history_offsets(world)
        world.health.start()
        assert wait_until(
            lambda: history_offsets(world) != standing, timeout_seconds=PATIENCE_SECONDS
        ), "no offset jumped without the stop"
    trial.control_failed("the stop at a lost offset", "an offset jumped:")


def delete_unread(world: World, tenant: Tenant, mark: str) -> int:
    """History of which health has read a part and the rest is partly gone. Records deleted."""
    import_history(world, tenant, f"{mark}-read")
    await_history_read(world)
    world.health.stop()
    import_history(world, tenant, f"{mark}-a")
    import_history(world, tenant, f"{mark}-b")
    read, ends = history_offsets(world), history_ends(world)
    begins = {place: end - 1 for place, end in ends.items() if end - 1 > read[place]}
    tampering.delete_records(world.kafka.bootstrap, begins)
    return sum(begin - read[place] for place, begin in begins.items())


# --- a topic is deleted and made anew ------------------------------------------------------------


@row(
    35,
    "a topic is deleted and made anew",
    how="DeleteTopics and CreateTopics of the history topic",
    heals_within_seconds=60,
    allows=TOLD,
)
def test_a_lane_whose_topic_is_another_one_stops(trial: Trial):
    world = trial.world
    tenant = world.new_tenant()

    with trial.load() as load, decided_at_last(world):
        behind = renew_topic(world, tenant, "old")
        assert wait_until(lambda: has_stopped(world), timeout_seconds=PATIENCE_SECONDS)
        assert_stands(trial, load)
    trial.fired(offsets_beyond_the_log=behind)
    import_history(world, tenant, "new")
    await_history_read(world)
    trial.holds("what an operator decides on is read")
    trial.assert_whole(load)

    jumping = ("--without", "stop_at_lost_offset")
    with trial.load(), world.health.running_as(*jumping), decided_at_last(world):
        renew_topic(world, tenant, "older")
        import_history(world, tenant, "passed-over", accounts=3)
        time.sleep(STANDS_SECONDS)
        assert not has_stopped(world), world.health.readiness()
        assert history_offsets(world) != history_ends(world)
    trial.control_failed("the stop at a lost offset", "records passed over in silence:")


def renew_topic(world: World, tenant: Tenant, mark: str) -> int:
    """An empty topic in the place of one that is read. Partitions with offsets beyond its end."""
    import_history(world, tenant, mark)
    await_history_read(world)
    tampering.recreate_topic(
        world.kafka.bootstrap,
        HISTORY,
        partitions=PARTITIONS,
        copies=world.kafka.replication_factor,
    )
    ends = history_ends(world)
    return sum(offset > ends[place] for place, offset in history_offsets(world).items())
