"""Caps: what is counted, who goes first, and what becomes of the loser (2.11)."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cadence.model.caps import CapRule, Caps, Claim, Held, Purpose, Rank, held, rank_of
from tests.unit.cadence.people import DATABASE, at

SEOUL = DATABASE.zone("Asia/Seoul")
UTC = DATABASE.zone("UTC")
ONE_A_DAY = Caps(per_day=1, per_week=None, spacing=timedelta())
ONE_A_WEEK = Caps(per_day=None, per_week=1, spacing=timedelta())
FOUR_HOURS = Caps(per_day=None, per_week=None, spacing=timedelta(hours=4))


def claim(identity: str, when: str, purpose: str = "onboarding", **more: object) -> Claim:
    return Claim(identity, at(when), Purpose(purpose), **more)  # type: ignore[arg-type]


def test_the_order_under_a_cap_is_the_agreed_one():
    order = ["renewal", "notice", "onboarding", "nps", "feature", "newsletter"]

    ranks = [rank_of(Purpose(purpose), requested=False) for purpose in order]

    assert ranks == list(Rank)
    assert rank_of(Purpose.NEWSLETTER, requested=True) is Rank.REQUESTED
    assert rank_of(Purpose.RENEWAL, requested=True) is Rank.DEADLINE
    assert rank_of(Purpose.SECURITY, requested=False) is Rank.DEADLINE


def test_within_the_budget_a_message_may_go():
    lone = claim("a", "2025-06-02T09:00Z")

    assert held(lone, sent=[], planned=[lone], caps=ONE_A_DAY, zone=UTC) is None


def test_the_loser_names_the_winner_and_waits_for_the_same_hour_of_the_next_day():
    renewal = claim("renewal", "2025-06-02T15:00Z", "renewal")
    newsletter = claim("newsletter", "2025-06-02T09:00Z", "newsletter")

    lost = held(newsletter, sent=[], planned=[renewal, newsletter], caps=ONE_A_DAY, zone=UTC)

    assert lost == Held(CapRule.PER_DAY, "renewal", at("2025-06-03T09:00Z"))


def test_a_message_of_lower_rank_that_is_only_planned_takes_nothing_away():
    newsletter = claim("newsletter", "2025-06-02T09:00Z", "newsletter")
    course = claim("course", "2025-06-02T15:00Z", "onboarding")

    assert held(course, sent=[], planned=[newsletter], caps=ONE_A_DAY, zone=UTC) is None


def test_a_message_of_lower_rank_that_was_sent_has_used_the_budget():
    newsletter = claim("newsletter", "2025-06-02T09:00Z", "newsletter")
    course = claim("course", "2025-06-02T15:00Z", "onboarding")

    lost = held(course, sent=[newsletter], planned=[], caps=ONE_A_DAY, zone=UTC)

    assert lost is not None
    assert lost.winner == "newsletter"


def test_in_one_rank_the_earlier_goes_first():
    first, second = claim("b", "2025-06-02T09:00Z"), claim("a", "2025-06-02T10:00Z")
    both = [first, second]

    assert held(first, sent=[], planned=both, caps=ONE_A_DAY, zone=UTC) is None
    assert held(second, sent=[], planned=both, caps=ONE_A_DAY, zone=UTC) is not None


@pytest.mark.parametrize("purpose", ["renewal", "security"])
def test_a_deadline_is_never_held_back(purpose: str):
    sent = [claim("a", "2025-06-02T09:00Z")]

    notice = claim("n", "2025-06-02T10:00Z", purpose)

    assert held(notice, sent=sent, planned=[], caps=ONE_A_DAY, zone=UTC) is None


def test_days_are_counted_in_the_persons_zone():
    before_midnight = claim("a", "2025-06-02T14:00Z")  # 23:00 in Seoul
    after_midnight = claim("b", "2025-06-02T15:30Z")  # 00:30 in Seoul

    def lost(zone: str) -> bool:
        found = held(
            after_midnight,
            sent=[before_midnight],
            planned=[],
            caps=ONE_A_DAY,
            zone=DATABASE.zone(zone),
        )
        return found is not None

    assert not lost("Asia/Seoul")
    assert lost("UTC")


@pytest.mark.parametrize(
    ("when", "free"), [("2025-06-02T17:59Z", False), ("2025-06-02T18:00Z", True)]
)
def test_the_spacing_closes_the_hole_at_midnight(when: str, free: bool):  # noqa: FBT001
    sent = [claim("a", "2025-06-02T14:00Z")]  # 23:00 in Seoul

    lost = held(claim("b", when), sent=sent, planned=[], caps=FOUR_HOURS, zone=SEOUL)

    assert (lost is None) is free
    assert lost is None or lost.rule is CapRule.SPACING


def test_a_week_begins_on_monday_in_the_persons_zone():
    sunday = claim("a", "2025-06-01T10:00Z")
    monday_in_seoul = claim("b", "2025-06-01T15:00Z")

    assert held(monday_in_seoul, sent=[sunday], planned=[], caps=ONE_A_WEEK, zone=SEOUL) is None
    lost = held(monday_in_seoul, sent=[sunday], planned=[], caps=ONE_A_WEEK, zone=UTC)
    assert lost == Held(CapRule.PER_WEEK, "a", at("2025-06-02T15:00Z"))


def test_a_message_that_would_wait_past_its_use_is_dropped():
    sent = [claim("a", "2025-06-02T09:00Z")]
    short = claim("b", "2025-06-02T10:00Z", good_until=at("2025-06-03T09:59Z"))
    long = claim("c", "2025-06-02T10:00Z", good_until=at("2025-06-03T10:00Z"))

    def deferred(each: Claim) -> object:
        found = held(each, sent=sent, planned=[], caps=ONE_A_DAY, zone=UTC)
        assert found is not None
        return found.deferred_to

    assert deferred(short) is None
    assert deferred(long) == at("2025-06-03T10:00Z")


def test_a_message_that_finds_no_room_for_a_week_is_dropped():
    sent = [claim(f"s{day}", f"2025-06-{day:02}T09:00Z") for day in range(2, 10)]

    lost = held(claim("b", "2025-06-02T10:00Z"), sent=sent, planned=[], caps=ONE_A_DAY, zone=UTC)

    assert lost is not None
    assert lost.deferred_to is None


def test_a_message_is_no_rival_of_its_own():
    once = claim("a", "2025-06-02T10:00Z")

    assert held(once, sent=[once], planned=[once], caps=ONE_A_DAY, zone=UTC) is None


@pytest.mark.parametrize("most", [0, -1])
def test_a_cap_that_lets_nothing_through_is_refused(most: int):
    with pytest.raises(ValueError, match="nothing"):
        Caps(per_day=most)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 14 * 24 * 4), st.sampled_from(list(Purpose))),
        min_size=1,
        max_size=25,
    )
)
def test_whatever_comes_no_cap_is_ever_broken_but_by_deadlines(
    wishes: list[tuple[int, Purpose]],
):
    caps = Caps(per_day=2, per_week=5, spacing=timedelta(hours=4))
    start = at("2025-06-02T00:00Z")
    waiting = [
        Claim(f"m{number}", start + timedelta(minutes=15 * quarter), purpose)
        for number, (quarter, purpose) in enumerate(wishes)
    ]
    sent: list[Claim] = []
    for _ in range(1000):
        if not waiting:
            break
        waiting.sort(key=lambda each: each.at)
        first = waiting.pop(0)
        lost = held(first, sent=sent, planned=waiting, caps=caps, zone=SEOUL)
        if lost is None:
            sent.append(first)
        elif lost.deferred_to is not None:
            assert lost.deferred_to > first.at
            waiting.append(first._replace(at=lost.deferred_to))

    held_back = [each for each in sent if each.rank is not Rank.DEADLINE]
    days = Counter(each.at.astimezone(SEOUL).date() for each in held_back)
    weeks = Counter(each.at.astimezone(SEOUL).isocalendar()[:2] for each in held_back)
    assert max(days.values(), default=0) <= 2
    assert max(weeks.values(), default=0) <= 5
    assert all(
        later.at - earlier.at >= caps.spacing
        for earlier, later in pairwise(sent)
        if later.rank is not Rank.DEADLINE
    )
