"""However fetched records are cut into slices, all are there once and in order."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.memory import MemoryRecord
from shared.bus.record import SKIPPED, Partition, Record
from shared.bus.slices import Gaps, Span, gaps_of, slices_of

FIRST, SECOND = Partition("t", 0), Partition("t", 1)


def records(partition: Partition, sizes: Sequence[int], *, first: int = 0) -> list[Record]:
    return [
        MemoryRecord(partition.topic, partition.number, offset, 0, b"k", b"x" * size)
        for offset, size in enumerate(sizes, first)
    ]


SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=30)


@given(one=SIZES, two=SIZES, most_bytes=st.integers(1, 40), stands=st.integers(0, 5))
def test_slices_hold_every_new_record_once_and_their_spans_follow_each_other(
    one: list[int], two: list[int], most_bytes: int, stands: int
):
    fetched = {FIRST: records(FIRST, one), SECOND: records(SECOND, two, first=3)}
    positions = {FIRST: stands, SECOND: 3}

    cut = list(slices_of(fetched, positions, lambda _: SKIPPED, most_bytes=most_bytes))

    offsets = [(entry.partition, entry.record.offset) for piece in cut for entry in piece.entries]
    new = [(FIRST, n) for n in range(stands, len(one))]
    assert offsets == new + [(SECOND, 3 + n) for n in range(len(two))]
    for piece in cut:
        sizes = [len(entry.record.value or b"") for entry in piece.entries]
        assert sum(sizes) <= most_bytes or len(sizes) == 1
        for partition, span in piece.spans.items():
            assert span.start == positions[partition]
            positions[partition] = span.end
    assert positions == {FIRST: max(stands, len(one)), SECOND: 3 + len(two)}


def test_a_fetch_that_begins_behind_our_place_is_a_gap():
    fetched = {FIRST: records(FIRST, [1, 1], first=7), SECOND: records(SECOND, [1], first=4)}

    assert gaps_of(fetched, {FIRST: 5, SECOND: 4}) == {FIRST: 7}


def test_a_span_begins_at_our_place_also_where_compaction_left_a_hole():
    (piece,) = slices_of(
        {FIRST: records(FIRST, [1], first=7)}, {FIRST: 5}, lambda _: SKIPPED, most_bytes=10
    )

    assert piece.spans == {FIRST: Span(5, 8)}


def test_a_hole_is_believed_at_the_second_read_also_where_busy_neighbours_come_in_between():
    gaps, stands = Gaps(), {FIRST: 5, SECOND: 3}
    hole = {FIRST: records(FIRST, [1], first=7)}

    first = gaps.doubtful(hole, stands)
    between = gaps.doubtful({SECOND: records(SECOND, [1], first=3)}, stands)
    second = gaps.doubtful(hole, stands)

    assert (first, between, second) == ({FIRST}, set(), set())


def test_a_gap_that_a_read_from_our_place_fills_is_doubted_when_it_comes_again():
    gaps, stands = Gaps(), {FIRST: 5}
    skips = {FIRST: records(FIRST, [1], first=7)}

    doubts = [
        gaps.doubtful(skips, stands),
        gaps.doubtful({FIRST: records(FIRST, [1, 1, 1], first=5)}, stands),
        gaps.doubtful(skips, stands),
    ]

    assert doubts == [{FIRST}, set(), {FIRST}]


def test_what_was_seen_of_a_partition_does_not_count_once_it_is_read_from_another_place():
    gaps = Gaps()
    skips = {FIRST: records(FIRST, [1], first=7)}
    gaps.doubtful(skips, {FIRST: 5})

    gaps.forget({FIRST})

    assert gaps.doubtful(skips, {FIRST: 4}) == {FIRST}
