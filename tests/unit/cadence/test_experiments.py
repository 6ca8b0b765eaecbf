"""Arms by hash: even, fixed, and independent of each other."""

from dataclasses import replace

from services.cadence.model.experiments import arm_of, share_of, variant_of
from services.cadence.model.programs import Variant
from tests.unit.cadence.journeys import COURSE

PEOPLE = [f"u-{number}" for number in range(4000)]
A, B = Variant(id="a", template="t1", share=3), Variant(id="b", template="t2", share=1)
TRIED = replace(COURSE, hold_out=0.2, steps=(replace(COURSE.steps[0], variants=(A, B)),))
STEP = TRIED.steps[0]


def test_an_arm_stays_in_every_version_of_the_program():
    newer = replace(TRIED, version=2, name="Another name")

    assert all(arm_of(TRIED, STEP, user) == arm_of(newer, STEP, user) for user in PEOPLE[:200])


def test_a_share_is_pinned_for_all_time():
    assert share_of("course", "one", "u-42") == 0.9093487456525386


def test_people_fall_into_the_arms_by_their_shares():
    arms = [arm_of(TRIED, STEP, user) for user in PEOPLE]

    held_out = sum(arm.held_out for arm in arms) / len(arms)
    first = sum(arm.variant == A for arm in arms) / len(arms)

    assert abs(held_out - 0.2) < 0.02
    assert abs(first - 0.75) < 0.02


def test_holding_out_tells_nothing_of_the_wording():
    arms = [arm_of(TRIED, STEP, user) for user in PEOPLE]

    held_out = [arm for arm in arms if arm.held_out]
    first = sum(arm.variant == A for arm in held_out) / len(held_out)

    assert abs(first - 0.75) < 0.05


def test_a_step_with_one_wording_has_no_variants():
    assert arm_of(COURSE, COURSE.steps[1], "u-42") == (False, None)


def test_a_variant_without_a_share_is_never_drawn():
    none, all_ = Variant(id="n", template="t", share=0), Variant(id="a", template="t")

    assert {variant_of((none, all_, none), share / 100) for share in range(100)} == {all_}
