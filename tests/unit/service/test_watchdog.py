"""When a lane that has work and makes no progress ends its process, and when it is left alone."""

from types import SimpleNamespace
from typing import Any

import pytest

from shared.bus.consumer import LaneState
from shared.bus.record import Partition
from shared.service.watchdog import (
    MORE_PATIENCE,
    RECEDED_SECONDS,
    REJOIN_SECONDS,
    LaneWatchdog,
    Stalled,
)

PATIENCE = 60.0
FIRST, SECOND = Partition("t", 0), Partition("t", 1)
ENDS = {FIRST: 100, SECOND: 100}
NONE: Any = None


class Lane:
    """A lane that is looked at every five seconds."""

    def __init__(self, *, assigned: frozenset[Partition] = frozenset({FIRST, SECOND})) -> None:
        self.consumer: Any = SimpleNamespace(
            group="toy.live",
            lane=SimpleNamespace(name="live"),
            places=frozenset({FIRST, SECOND}),
            state=LaneState(assigned=assigned),
            refuse=self._note_refusal,
            rejoin=self._note_rejoin,
        )
        self.refused: list[str] = []
        self.rejoined: list[str] = []
        self.dog = LaneWatchdog(
            service="toy", consumers=(), database=NONE, ends=NONE, patience_seconds=PATIENCE
        )

    def look(self, seconds: float, *, first: int, second: int) -> None:
        self.dog._judge(self.consumer, ENDS, {FIRST: first, SECOND: second}, now=seconds)

    def compare(self, seconds: float, *, end: int, read: int = 5) -> None:
        ends = {FIRST: end, SECOND: 100}
        self.dog._compare(self.consumer, ends, {FIRST: read, SECOND: 100}, now=seconds)

    def _note_rejoin(self, reason: str) -> None:
        self.rejoined.append(reason)

    def _note_refusal(self, reason: str) -> None:
        self.refused.append(reason)
        self.consumer.state.stopped_because = reason


def test_a_log_that_ends_before_our_offset_for_long_stops_the_lane():
    lane = Lane()
    lane.compare(0, end=5)
    lane.compare(5, end=3)
    lane.compare(4 + RECEDED_SECONDS, end=3)
    assert lane.refused == []

    lane.compare(5 + RECEDED_SECONDS, end=3)

    assert lane.refused == ["t/0 ends at 3, we have read to 5"]


def test_a_leader_that_learns_its_end_in_time_stops_nothing():
    lane = Lane()
    lane.compare(0, end=5)
    lane.compare(5, end=3)
    lane.compare(RECEDED_SECONDS, end=5)
    lane.compare(RECEDED_SECONDS + 5, end=3)
    lane.compare(2 * RECEDED_SECONDS, end=3)

    assert lane.refused == []


def test_a_lane_of_which_nothing_moves_is_given_a_new_reader_before_it_is_ended():
    lane = Lane()
    lane.look(0, first=5, second=100)
    lane.look(REJOIN_SECONDS, first=5, second=100)
    assert lane.rejoined == []

    lane.look(REJOIN_SECONDS + 1, first=5, second=100)
    lane.look(REJOIN_SECONDS + 6, first=5, second=100)

    assert len(lane.rejoined) == 1


def test_a_lane_that_works_off_other_partitions_keeps_its_reader():
    lane = Lane()
    for seconds in range(0, 60, 5):
        lane.look(seconds, first=0, second=seconds)

    assert lane.rejoined == []


def test_a_lane_that_stands_longer_than_the_patience_is_ended():
    lane = Lane()
    lane.look(0, first=5, second=100)
    lane.look(PATIENCE, first=5, second=100)

    with pytest.raises(Stalled, match="t/0 stands at 5"):
        lane.look(PATIENCE + 1, first=5, second=100)


def test_a_partition_waits_longer_while_its_lane_works_off_another():
    lane = Lane()
    seconds = 0.0
    while seconds < MORE_PATIENCE * PATIENCE:
        lane.look(seconds, first=0, second=int(seconds / 5))
        seconds += 5
    lane.look(seconds, first=0, second=int(seconds / 5))

    with pytest.raises(Stalled, match="t/0 stands at 0"):
        lane.look(seconds + 5, first=0, second=int(seconds / 5) + 1)


def test_a_partition_of_another_process_is_that_ones_to_mend_for_longer():
    lane = Lane(assigned=frozenset({SECOND}))
    lane.look(0, first=5, second=100)
    lane.look(PATIENCE + 1, first=5, second=100)

    with pytest.raises(Stalled):
        lane.look(MORE_PATIENCE * PATIENCE + 1, first=5, second=100)


def test_a_lane_that_waits_for_a_dependency_is_no_stall():
    lane = Lane()
    lane.look(0, first=5, second=100)
    lane.consumer.state.waiting_for = "database_unavailable"

    lane.look(10 * PATIENCE, first=5, second=100)
