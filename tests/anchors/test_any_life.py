"""The plan and a scheduler that lives through time say the same of any life."""

from datetime import datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cadence.model.spans import Span
from tests.anchors.compare import FIRST, PLACES, WEEKS, agree, planned
from tests.anchors.live import SPACING, TICK, Life, Log

SOME_TICKS = WEEKS * 7 * 24 * 4

ticks = st.integers(0, SOME_TICKS).map(lambda number: FIRST + TICK * number)
hours = st.integers(0, 12 * 24)
spans = st.tuples(ticks, hours).map(lambda each: (each[0], each[0] + timedelta(hours=each[1])))
clocks = st.builds(time, st.integers(4, 23), st.sampled_from([0, 15, 30, 45]))
places = st.sampled_from(PLACES)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    signed_up_at = FIRST + TICK * draw(st.integers(0, 2 * 7 * 24 * 4))
    return Life(
        signed_up_at=signed_up_at,
        zone=draw(places),
        known_at=draw(st.none() | ticks),
        moves=draw(
            st.lists(
                st.tuples(ticks, st.sampled_from(["moved", "moved", "learned"]), places),
                max_size=4,
                unique_by=lambda move: move[0],
            )
        ),
        quiet=draw(st.none() | st.tuples(clocks, clocks)),
        grace=timedelta(hours=draw(st.sampled_from([0, 6, 6, 30, 200]))),
        outages=draw(st.lists(spans, max_size=3)),
        pauses=draw(st.lists(spans, max_size=2)),
        churned_at=draw(st.none() | st.none() | ticks),
        reactivated_at=draw(st.none() | ticks),
    )


@settings(max_examples=30, deadline=None)
@given(lives())
def test_the_plan_is_what_a_scheduler_does_that_lives_through_it(life: Life):
    agree(life)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(lives())
def test_the_plan_is_what_a_scheduler_does_in_very_many_lives(life: Life):
    agree(life)


@settings(max_examples=60, deadline=None)
@given(lives(), st.lists(ticks, max_size=4))
def test_a_horizon_says_what_its_parts_say(life: Life, cuts: list[datetime]):
    ends = FIRST + timedelta(weeks=WEEKS)
    edges = [FIRST, *sorted(cuts), ends]
    parts = [Span(*edge) for edge in pairwise(edges)]

    whole = planned(life, Span(FIRST, ends))

    def inside(span: Span, log: Log) -> Log:
        return Log(
            sends=[at for at in log.sends if at in span],
            late=[at for at in log.late if at in span],
            skips=[skip for skip in log.skips if skip[1] in span],
        )

    for part in parts:
        assert inside(part, planned(life, part)) == inside(part, whole)


@settings(max_examples=60, deadline=None)
@given(lives())
def test_two_messages_are_never_close_where_none_is_late(life: Life):
    seen = planned(life, Span(FIRST, FIRST + timedelta(weeks=WEEKS)))

    on_time = [at for at in seen.sends if at not in seen.late]

    assert all(later - earlier >= SPACING for earlier, later in pairwise(on_time))
