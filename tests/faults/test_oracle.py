"""The oracle sees each thing that it is there to see, on findings made by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

import pytest

from tests.faults import model
from tests.faults.ledger import Sent
from tests.faults.model import RawEvent, Rollups
from tests.faults.oracle import (
    ID_NAMESPACE,
    NOTED_TYPE,
    USAGE,
    Findings,
    Noted,
    Seen,
    violations,
)
from tests.faults.raw import Place

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def event(seq: int, **fields: Any) -> RawEvent:
    made = RawEvent(
        topic=USAGE,
        partition=3,
        offset=seq,
        key="w/w-a",
        id=f"default w-a-{seq}",
        message_id=f"w-a-{seq}",
        workspace="w",
        account="w-a",
        user="u",
        feature="f",
        time=NOON,
        seq=seq,
        marker="w",
    )
    return made._replace(**fields)


def seen_of(raw: RawEvent) -> Seen:
    return Seen(raw.account, raw.id, raw.seq, raw.marker, raw.partition, raw.offset)


def noted_of(raw: RawEvent) -> Noted:
    return Noted(raw.key, str(uuid5(ID_NAMESPACE, f"{raw.id} {NOTED_TYPE} ")), raw.seq)


def whole() -> Findings:
    """Three events that went every way they should."""
    raw = [event(0), event(1), event(2)]
    place = Place(USAGE, 3)
    return Findings(
        workspace="w",
        sent=[Sent(one.message_id, one.account, one.seq) for one in raw],
        acknowledged={one.message_id for one in raw},
        raw=raw,
        seen=[seen_of(one) for one in raw],
        tally=3,
        rollups=model.fold(raw),
        offsets={("metrics", "metrics.toy", place): 3},
        ends={place: 3},
        outbox={"metrics": 0},
        noted=[noted_of(one) for one in raw],
        told={("metrics", place): 3},
    )


def broken(found: Findings) -> set[str]:
    return {violation.rule for violation in violations(found)}


def test_what_went_every_way_it_should_breaks_no_rule():
    assert violations(whole()) == []


def test_a_repeat_in_the_topic_that_was_applied_once_breaks_no_rule():
    found = whole()
    repeat = event(1, offset=3)
    ends = {Place(USAGE, 3): 4}
    found = replace(
        found,
        raw=[*found.raw, repeat],
        offsets=dict.fromkeys(found.offsets, 4),
        told=dict.fromkeys(found.told, 4),
        ends=ends,
    )

    assert violations(found) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        pytest.param(lambda f: {"acknowledged": {*f.acknowledged, "w-a-9"}}, "R1", id="lost"),
        pytest.param(lambda f: {"sent": f.sent[1:]}, "R1", id="made up"),
        pytest.param(lambda f: {"seen": f.seen[1:], "tally": 2}, "R2", id="not applied"),
        pytest.param(lambda f: {"seen": [*f.seen, f.seen[2]], "tally": 4}, "R2", id="twice"),
        pytest.param(lambda _: {"tally": 4}, "R2", id="tally"),
        pytest.param(lambda _: {"rollups": Rollups({}, {}, {}, {})}, "R3", id="no state"),
        pytest.param(lambda f: {"offsets": dict.fromkeys(f.offsets, 2)}, "R4", id="behind"),
        pytest.param(lambda f: {"seen": f.seen[1:]}, "R4", id="without a trace"),
        pytest.param(lambda _: {"dead": {"metrics": {(USAGE, 3, 1)}}}, "R4", id="applied and dead"),
        pytest.param(lambda f: {"seen": f.seen[::-1]}, "R5", id="applied in another order"),
        pytest.param(lambda f: {"noted": f.noted[::-1]}, "R5", id="caused in another order"),
        pytest.param(lambda f: {"noted": f.noted[1:]}, "R6", id="caused and lost"),
        pytest.param(lambda _: {"outbox": {"metrics": 1}}, "R6", id="outbox"),
        pytest.param(lambda f: {"told": dict.fromkeys(f.told, 2)}, "R6", id="not told"),
        pytest.param(lambda _: {"foreign": ["v/w-a"]}, "R8", id="foreign row"),
        pytest.param(
            lambda f: {"seen": [f.seen[0]._replace(marker="v"), *f.seen[1:]]}, "R8", id="marker"
        ),
    ],
)
def test_whatever_is_wrong_breaks_its_rule(change: Any, rule: str):
    found = whole()

    found = replace(found, **change(found))

    assert rule in broken(found)


def test_a_loss_and_a_doubling_of_equal_size_break_the_state_rule():
    found = whole()
    days = {("w-a", "2026-11-02"): 3}
    moved = model.fold([event(0), event(1), event(2, user="v")])

    found = replace(found, rollups=moved)

    assert moved.account_day == days
    assert "R3" in broken(found)
