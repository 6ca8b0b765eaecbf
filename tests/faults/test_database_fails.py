"""PostgreSQL restarts, loses a backend, locks, runs into deadlocks and stands open."""

import time
from collections.abc import Callable, Mapping

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
    times = trial.scaled(smoke=0, full=19)
    restarted = 0
    with trial.load() as load:
        for _ in range(times):
            restarted += restart_immediately(trial.world)
            time.sleep(trial.chance.uniform(0.2, 2.0))
        load.await_more(10)
        amid = in_the_middle(trial, lambda: restart_immediately(trial.world))
    trial.fired(restarts=restarted + amid, amid_a_batch=amid)
    trial.assert_whole(load)

    with trial.load() as control:
        in_the_middle(trial, lambda: restart_immediately(trial.world), "one_transaction")
    trial.assert_broken(control, "R2", without="offset and effect in one transaction")


def kill_in_commit(trial: Trial, load: Load) -> bool:
    """SIGKILL to a backend of the toy whose commit is on disk and has not been answered yet.

    A standby that is not there holds every commit at exactly that place.
    """
    world = trial.world
    with (
        session_of(world, "metrics") as session,
        altered(world, "synchronous_standby_names", "'nobody'"),
    ):
        pid = await_backend(session, COMMIT_WAITS)
        kill_backend(world, pid)
    await_progress(trial, load)
    return True


def await_progress(trial: Trial, load: Load) -> None:
    """Wait until the toy has applied something more in every partition that has more."""
    standing = trial.world.toys_offsets()
    load.await_more(20)
    assert wait_until(lambda: trial.world.toys_offsets_passed(standing), timeout_seconds=60), (
        "the toy does not go on"
    )


def kill_before_commit(trial: Trial) -> bool:
    """SIGKILL to a backend of the toy in the middle of a transaction that nothing is left of."""
    world = trial.world

    def strike() -> bool:
        with session_of(world, "metrics") as session:
            kill_backend(world, await_backend(session, "state = 'idle in transaction'"))
        return True

    return in_the_middle(trial, strike)


@row(
    20,
    "kill -9 of one backend in the middle of its COMMIT",
    how="SIGKILL with the commit on disk and unanswered, and with the transaction half done",
    heals_within_seconds=30,
)
def test_a_backend_killed_in_its_commit_loses_and_doubles_nothing(trial: Trial):
    times = trial.scaled(smoke=1, full=3)

    with trial.load() as load:
        in_commit = [kill_in_commit(trial, load) for _ in range(times)]
        before_commit = [kill_before_commit(trial) for _ in range(times)]
    trial.fired(killed_in_commit=sum(in_commit), killed_before=sum(before_commit))
    trial.assert_whole(load)

    unprotected = [word for p in ("cas", "inbox", "second_look") for word in ("--without", p)]
    with trial.load() as control, trial.world.toy.running_as(*unprotected):
        kill_in_commit(trial, control)
    trial.assert_broken(control, "R2", without="compare-and-set, inbox and second look")


# --- locks and slow statements -------------------------------------------------------------------

SLOW_ROWS = """
    CREATE FUNCTION metrics.be_slow() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN PERFORM pg_sleep(0.008); RETURN NEW; END$$;
    CREATE TRIGGER slow BEFORE INSERT ON metrics.seen
        FOR EACH ROW EXECUTE FUNCTION metrics.be_slow()"""
QUICK_ROWS = "DROP FUNCTION IF EXISTS metrics.be_slow() CASCADE"


def lock_and_slow_down(trial: Trial, load: Load, *without: str) -> dict[str, float]:
    """A lock on a table of the toy for longer than it waits, and then rows so slow that the batch
    which has piled up outlasts what a statement may. How often it tried again, for each reason.
    """
    toy = trial.world.toy
    seconds = trial.scaled(smoke=6.0, full=30.0)
    words = [word for name in without for word in ("--without", name)]
    settings = {"DATABASE_STATEMENT_TIMEOUT_SECONDS": "1", "DATABASE_LOCK_TIMEOUT_SECONDS": "0.5"}
    with toy.running_as(*words, environment=settings):
        mark = toy.log_size()
        with session_of(trial.world, "metrics") as session:
            session.execute("BEGIN; LOCK TABLE metrics.seen IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)
            session.execute(SLOW_ROWS)
            session.execute("COMMIT")
        with session_of(trial.world, "metrics") as session:
            load.await_more(100)
            wait_until(
                lambda: _failures(toy, mark).count("statement timeout") >= 3, timeout_seconds=20
            )
            session.execute(QUICK_ROWS)
        failures = _failures(toy, mark)
    return {
        "lock_timeouts": failures.count("lock timeout"),
        "statement_timeouts": failures.count("statement timeout"),
    }


def _failures(worker: Worker, mark: int) -> str:
    return "\n".join(line for line in worker.logged_since(mark) if "batch_retried" in line)


def dead_letters_of(trial: Trial, since: int) -> int:
    """Dead letters of the toy beyond `since`."""
    with session_of(trial.world, "metrics") as session:
        return int(session.value("SELECT count(*) FROM metrics.dead_letter")) - since


@row(
    26,
    "a table locked for 30 s, then statements that outlast their time",
    how="LOCK TABLE, statement_timeout 1 s and a trigger of 8 ms a row",
    heals_within_seconds=60,
)
def test_locks_and_slow_statements_are_tried_again_and_never_dead_letters(trial: Trial):
    before = dead_letters_of(trial, 0)

    with trial.load() as load:
        trial.fired(**lock_and_slow_down(trial, load))
    trial.assert_whole(load)
    assert dead_letters_of(trial, before) == 0
    trial.holds("no dead letter")

    with trial.load() as control:
        lock_and_slow_down(trial, control, "retries")
    assert dead_letters_of(trial, before) > 0
    trial.control_failed("retries", "no dead letter")


# --- deadlocks -----------------------------------------------------------------------------------


def deadlocks_of(trial: Trial) -> int:
    """Deadlocks in the database of the toy, ever."""
    with session_of(trial.world, "metrics") as session:
        return int(
            session.value(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            )
        )


def storm_with_a_peer(trial: Trial, load: Load, seconds: float, *without: str) -> int:
    """Two toys write to the same few rows. Deadlocks meanwhile."""
    toy = trial.world.toy
    words = [word for name in without for word in ("--without", name)]
    before, enough = deadlocks_of(trial), trial.scaled(smoke=2, full=8)
    with toy.running_as(*words), trial.world.peer_of(toy, *words):
        began = time.monotonic()
        load.await_more(50)
        left = seconds - (time.monotonic() - began)
        wait_until(lambda: deadlocks_of(trial) - before >= enough, timeout_seconds=left)
        time.sleep(1.2)  # the statistics come a second late
        return deadlocks_of(trial) - before


@row(
    27,
    "a storm of deadlocks",
    how="two consumers that lock the rows they share in any order",
    heals_within_seconds=60,
)
def test_deadlocks_are_tried_again_and_ordered_locks_have_none(trial: Trial):
    seconds = trial.scaled(smoke=8.0, full=30.0)
    busy: Mapping[str, float] = {"accounts": 12, "pause_seconds": 0.02}
    before = dead_letters_of(trial, 0)

    with trial.load(**busy) as load:
        trial.fired(deadlocks=storm_with_a_peer(trial, load, seconds, "sorted_locks"))
    trial.assert_whole(load)
    assert dead_letters_of(trial, before) == 0
    trial.holds("no dead letter")

    with trial.load(**busy) as ordered:
        assert storm_with_a_peer(trial, ordered, seconds) == 0
    ordered.stop()
    trial.holds("no deadlock where locks are in order")

    with trial.load(**busy) as control:
        storm_with_a_peer(trial, control, seconds, "sorted_locks", "retries", "isolation")
    assert dead_letters_of(trial, before) > 0
    trial.control_failed("retries and isolation", "no dead letter")


# --- a transaction that stays open ---------------------------------------------------------------


@row(
    28,
    "a writing transaction that stays open",
    how="BEGIN, an event into the outbox, and nothing for a long time",
    heals_within_seconds=30,
)
def test_an_open_transaction_holds_the_relay_up_and_nothing_is_lost(trial: Trial):
    toy = trial.world.toy
    seconds = trial.scaled(smoke=12.0, full=40.0)

    with trial.load() as load:
        late = stand_open(trial, load, seconds)
    trial.fired(seconds_of_lag=late)
    trial.assert_whole(load)
    assert wait_until(
        lambda: toy.metric("outbox_oldest_seconds") < seconds / 2, timeout_seconds=15
    ), "the relay is still told to lag"
    trial.holds("outbox_oldest_seconds grows and falls")

    with trial.load() as control, toy.running_as("--without", "outbox_cursor"):
        stand_open(trial, control, seconds)
        # Within the block: a relay with its cursor would find what was passed over.
        trial.assert_broken(control, "R6", without="the cursor below the oldest open transaction")


def stand_open(trial: Trial, load: Load, seconds: float) -> float:
    """A transaction with an event in the outbox of the toy stays open for so long, then commits.
    How old the metrics say the oldest waiting event is, just before.
    """
    with session_of(trial.world, "metrics") as session:
        session.execute("BEGIN")
        session.execute(
            "INSERT INTO metrics.outbox (event_id, topic, key, payload)"
            " VALUES ('left-open', 'metrics.toy.v1', 'nobody/', '{}')"
        )
        load.await_more(100)
        time.sleep(seconds)
        late = trial.world.toy.metric("outbox_oldest_seconds")
        session.execute("COMMIT")
    return late
