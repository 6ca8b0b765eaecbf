"""The cache of ids answers as a plain set would, also where halves of ids are alike."""

from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.seen import ID_BYTES, Ids, IdSet, SeenDays, SeenIds, block_of, inbox_id

# Few different bytes, so that first halves collide, which random ids do once in centuries.
IDS = st.tuples(st.sampled_from([b"\0", b"\1", b"\xff"]), st.sampled_from([b"\0", b"\2"])).map(
    lambda halves: halves[0] * 8 + halves[1] * 8
)
BLOCKS = st.lists(st.lists(IDS, min_size=1, max_size=5), max_size=12)
TODAY = date(2026, 3, 1)


def held(known: IdSet, ids: list[bytes]) -> list[bool]:
    return [bool(answer) for answer in known.holds(Ids.of(block_of(ids)))]


@given(blocks=BLOCKS, asked=st.lists(IDS, min_size=1, max_size=8))
def test_a_set_of_ids_answers_as_a_plain_set_does(blocks: list[list[bytes]], asked: list[bytes]):
    known, plain = IdSet(), set[bytes]()
    for block in blocks:
        known.add(block_of(block))
        plain.update(block)

    assert held(known, asked) == [id_ in plain for id_ in asked]


def test_many_blocks_of_random_ids_are_all_found_and_no_other():
    chance = np.random.default_rng(3)
    known = IdSet()
    blocks = [chance.bytes(ID_BYTES * 300) for _ in range(100)]
    for block in blocks:
        known.add(block)

    assert all(known.holds(Ids.of(block)).all() for block in blocks)
    assert not known.holds(Ids.of(chance.bytes(ID_BYTES * 1000))).any()
    assert len(known) == 30_000


def test_an_id_is_another_in_another_workspace():
    assert inbox_id("w1", "default 1") != inbox_id("w2", "default 1")
    assert len(inbox_id("w1", "")) == ID_BYTES


def test_a_day_before_the_one_asked_for_does_not_count():
    days = SeenDays()
    days.since = TODAY - timedelta(days=5)
    id_ = inbox_id("w", "1")
    days.add(TODAY - timedelta(days=2), 1, id_)

    assert days.holds(Ids.of(id_), since=TODAY - timedelta(days=2)).all()
    assert not days.holds(Ids.of(id_), since=TODAY - timedelta(days=1)).any()


def test_the_partition_numbers_used_last_stay_when_the_bound_is_reached():
    seen = SeenIds(most_bytes=2 * ID_BYTES)
    for part in range(3):
        seen.window[part] = SeenDays()
        seen.window[part].add(TODAY, part + 1, inbox_id("w", str(part)))

    seen.keep_within_bounds([0])

    assert sorted(seen.window) == [0, 2]


def test_another_table_empties_the_cache():
    seen = SeenIds(most_bytes=1_000_000)
    seen.of_table(1)
    seen.window[0] = SeenDays()

    seen.of_table(1)
    assert 0 in seen.window
    seen.of_table(2)

    assert not seen.window
