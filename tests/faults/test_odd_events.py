"""Events that come again, late, too early, in any order, and records that are no events at all."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from deploy.local.waiting import ask, wait_until
from tests.faults import oracle, raw, tampering
from tests.faults.raw import Place, RawRecord
from tests.faults.sessions import session_of
from tests.faults.trial import Load, Trial, row
from tests.faults.world import World

POISONER = "poisoner"  # the workspace in whose name they stand


# --- again, late, early, in any order ------------------------------------------------------------


def say_again(trial: Trial, load: Load, times: int) -> int:
    """Append every record of the load so many times more, in any order. Records appended."""
    world = trial.world
    load.stop()
    ends = ask(raw.topic_ends(world.kafka.bootstrap, [oracle.USAGE]))
    begins = {place: load.begins[place] for place in ends}
    standing = ask(raw.read_between(world.kafka.bootstrap, begins, ends))
    again = [record for record in standing for _ in range(times)]
    trial.chance.shuffle(again)
    return len(tampering.append(world.kafka.bootstrap, again))


@row(
    36,
    "events that come ten times, in any order, 30 days late or from the future",
    how="times from 35 days ago to 300 days ahead, every record appended nine times more, shuffled",
    heals_within_seconds=60,
)
def test_repeats_and_odd_times_change_nothing_but_their_own_day(trial: Trial):
    odd = {"days": 35.0, "future_share": 0.1, "repeats": 0.2}
    seconds = trial.scaled(smoke=2.0, full=10.0)

    with trial.load(**odd) as load:
        time.sleep(seconds)
        again = say_again(trial, load, 9)
    trial.fired(repeats=again)
    found = trial.assert_whole(load)
    days = {event.time.date() for event in found.raw}
    today = datetime.now(UTC).date()
    trial.fired(days_ago=(today - min(days)).days, days_ahead=(max(days) - today).days)

    with trial.load(**odd) as control, trial.world.toy.running_as("--without", "inbox"):
        say_again(trial, control, 2)
        trial.world.await_rest(30)
    trial.assert_broken(control, "R2", without="inbox")


# --- poison --------------------------------------------------------------------------------------

MOST_IN_A_ROW = 20  # dead letters, then the toy's lane stops; health keeps the product's own bound
BURST = 50


class Poison(StrEnum):
    """What is wrong with a record, as the code of its dead letter."""

    UNDECODABLE = "malformed"
    WRONG_SCHEMA = "schema_violation"
    BROKEN_CONSTRAINT = "sqlstate_23514"


class Dead(NamedTuple):
    """A dead letter of the live topic."""

    part: int
    offset: int
    code: str


def poisoned(kind: Poison, name: str, partition: int) -> RawRecord:
    """A record of that kind. A broken constraint is one of the toy: to health it is an event."""
    told = {
        "specversion": "1.0",
        "id": f"default {name}",
        "source": "default",
        "type": "usage.tracked.v1",
        "workspace": POISONER,
        "subject": f"{POISONER}-a",
        "partitionkey": f"{POISONER}/{POISONER}-a",
        "time": "2026-03-04T05:06:07Z",
        "recordedtime": "2026-03-04T05:06:07Z",
        "originaltime": "2026-03-04T05:06:07Z",
        "data": {
            "event": 7 if kind is Poison.WRONG_SCHEMA else "Worked",
            "feature": "reports",
            "properties": {"seq": -1, "marker": POISONER},
        },
    }
    value = b"\xff{ no event" if kind is Poison.UNDECODABLE else json.dumps(told).encode()
    return RawRecord(oracle.USAGE, partition, 0, f"{POISONER}/{POISONER}-a".encode(), value)


def poison(trial: Trial, kinds: Sequence[Poison], partition: int | None = None) -> set[Dead]:
    """Append a record of each kind; the dead letters they must become at the toy."""
    records = [
        poisoned(
            kind,
            f"{trial.seed}-{trial.chance.getrandbits(64):x}",
            trial.chance.randrange(12) if partition is None else partition,
        )
        for kind in kinds
    ]
    places = tampering.append(trial.world.kafka.bootstrap, records)
    return {
        Dead(place.number, offset, kind)
        for (place, offset), kind in zip(places, kinds, strict=True)
    }


def dead_since(world: World, service: str, begins: Mapping[Place, int]) -> set[Dead]:
    """Dead letters of a service from records of the live topic behind `begins`."""
    with session_of(world, service) as session:
        found = session.rows(
            f'SELECT part, "offset", code FROM {service}.dead_letter WHERE topic = $1',
            oracle.USAGE,
        )
    letters = (Dead(*row) for row in found)
    return {dead for dead in letters if dead.offset >= begins[Place(oracle.USAGE, dead.part)]}


def health_gives_up(dead: Iterable[Dead]) -> set[Dead]:
    """Those of the toy's dead letters that health has too."""
    return {one for one in dead if one.code != Poison.BROKEN_CONSTRAINT}


@row(
    37,
    "poison: undecodable, of a wrong schema, breaking a constraint",
    how="one among many events of each kind, then nothing but undecodable ones",
    heals_within_seconds=60,
    in_smoke=True,
    allows=frozenset({"record_given_up", "lane_stopped"}),
)
def test_poison_alone_is_given_up_and_nothing_but_poison_stops_the_lane(trial: Trial):
    world, toy = trial.world, trial.world.toy
    tight = {"KAFKA_DEAD_LETTERS_IN_A_ROW": str(MOST_IN_A_ROW)}
    among = trial.scaled(smoke=30, full=1000)
    busy: dict[str, float] = trial.scaled(smoke={}, full={"accounts": 12, "pause_seconds": 0.05})

    with trial.load(**busy) as load, toy.running_as(environment=tight):
        expected: set[Dead] = set()
        for kind in trial.scaled(smoke=[*Poison], full=[*Poison] * 3):
            load.await_more(among)
            expected |= poison(trial, [kind])
        load.await_more(among)  # so that the burst begins a row of its own
        load.stop()
        assert world.await_rest(60) is not None, world.why_restless()
        assert dead_since(world, "metrics", load.begins) == expected
        assert dead_since(world, "health", load.begins) == health_gives_up(expected)
        trial.holds("the dead letters are exactly the poison")

        burst = poison(trial, [Poison.UNDECODABLE] * BURST, partition=3)
        assert wait_until(lambda: "dead letters in a row" in toy.readiness(), timeout_seconds=30)
        stood = len(dead_since(world, "metrics", load.begins) - expected)
        time.sleep(trial.scaled(smoke=1.0, full=8.0))
        assert not toy.is_ready()
        assert len(dead_since(world, "metrics", load.begins) - expected) == stood
        assert stood == MOST_IN_A_ROW + 1
        trial.holds(f"the lane stops behind {stood} of {BURST}")
    trial.fired(poison=len(expected), burst=len(burst))
    trial.assert_whole(load)
    assert dead_since(world, "metrics", load.begins) == expected | burst

    toy.stop()
    with trial.load() as control:
        # In the midst of good events: alone in its batch it would be given up alone.
        amid = control.first_place(world.kafka.bootstrap).number
        expected = poison(trial, [Poison.BROKEN_CONSTRAINT], partition=amid)
        control.await_more(20)
        burst = poison(trial, [Poison.UNDECODABLE] * BURST, partition=3)
        unprotected = ("--without", "isolation", "--without", "breaker")
        with toy.running_as(*unprotected, environment=tight):
            control.stop()
            assert world.await_rest(60) is not None, world.why_restless()
            assert toy.is_ready(), toy.readiness()
    given_up = dead_since(world, "metrics", control.begins)
    assert burst <= {one._replace(code=Poison.UNDECODABLE) for one in given_up}
    trial.control_failed("breaker", f"the lane stops behind {MOST_IN_A_ROW + 1}")
    assert len(given_up) > len(expected | burst)
    trial.control_failed("isolation", "the dead letters are exactly the poison")
