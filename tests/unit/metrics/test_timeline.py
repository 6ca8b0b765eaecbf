"""Timelines: what can be read off one, and what two have in common."""

from services.metrics.model.calendar import Month
from services.metrics.model.movements import jumps_from, jumps_of
from services.metrics.model.tally import tallies_of, tallies_of_jumps
from services.metrics.model.timeline import (
    Timeline,
    amounts_at,
    amounts_before,
    currencies_of,
    first_paid_at,
    in_common,
    past_due_at,
)
from shared.events.billing import AnyFact
from tests.unit.metrics.builders import books_from, instant, mrr_at, state

HISTORY = (
    state("2026-01-10", "100"),
    state("2026-02-10", "150"),
    state("2026-03-10", status="past_due"),
    state("2026-03-20", status="canceled"),
    state("2026-04-10", "40"),
)


def timeline_of(*facts: AnyFact) -> Timeline:
    return books_from(*facts).timelines["acme"]


def test_what_holds_at_an_instant_counts_the_step_of_that_instant():
    timeline, at = timeline_of(*HISTORY), instant("2026-02-10")

    assert amounts_before(timeline, at) == {"KRW": 100}
    assert amounts_at(timeline, at) == {"KRW": 150}
    assert amounts_at(timeline, instant("2026-01-09")) == {}


def test_a_step_that_only_puts_money_at_risk_is_no_jump():
    facts = (state("2026-01-10"), state("2026-02-10", status="past_due"), state("2026-03-10"))
    timeline = timeline_of(*facts)

    assert len(timeline) == 3
    assert len(jumps_of(timeline)) == 1
    assert past_due_at(timeline, instant("2026-02-09")) == {}
    assert past_due_at(timeline, instant("2026-02-10")) == {"KRW": 100}
    assert past_due_at(timeline, instant("2026-03-10")) == {}


def test_a_trial_alone_makes_no_step():
    timeline = timeline_of(state("2026-01-10", status="trialing"))

    assert timeline == ()
    assert first_paid_at(timeline) is None
    assert currencies_of(timeline) == frozenset()


def test_two_timelines_have_the_steps_in_common_that_both_begin_with():
    whole, changed = timeline_of(*HISTORY), timeline_of(*HISTORY[:-1], state("2026-04-10", "41"))

    assert in_common(whole, changed) == len(whole) - 1
    assert in_common(whole, whole) == len(whole)
    assert in_common(whole, whole[:2]) == 2
    assert in_common(whole, ()) == 0


def test_the_jumps_from_any_step_on_are_the_last_of_all_jumps():
    timeline = timeline_of(*HISTORY)
    jumps = jumps_of(timeline)

    for start in range(len(timeline) + 1):
        instants = {step.at for step in timeline[start:]}
        assert jumps_from(timeline, start) == tuple(each for each in jumps if each.at in instants)


def test_tallies_of_the_jumps_of_some_months_are_those_of_these_months():
    timeline = timeline_of(*HISTORY)
    march = [jump for jump in jumps_of(timeline) if jump.at >= instant("2026-03-01")]

    tallies = tallies_of(timeline, "KRW", "UTC")

    assert tallies_of_jumps(march, "KRW", "UTC") == {
        month: tally for month, tally in tallies.items() if month >= Month(2026, 3)
    }


def test_of_two_states_of_one_instant_and_number_the_one_that_follows_is_the_later():
    at = "2026-01-10"
    first = state(at, "100", id="b", seq=1, digest="d1", follows="d0")
    second = state(at, "200", id="a", seq=1, digest="d2", follows="d1")

    assert mrr_at("2026-01-11", first, second) == 200
    assert mrr_at("2026-01-11", second, first) == 200


def test_states_that_follow_each_other_in_a_circle_go_by_id():
    at = "2026-01-10"
    one = state(at, "100", id="a", digest="d1", follows="d2")
    other = state(at, "200", id="b", digest="d2", follows="d1")

    assert mrr_at("2026-01-11", one, other) == 200
