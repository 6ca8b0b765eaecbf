"""Lint: what is wrong with programs is found before anybody is written to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.cadence.model.lint import Fault, lint, lint_program
from services.cadence.model.programs import (
    Branch,
    Comparison,
    Condition,
    Entry,
    Program,
    Rhythm,
    Step,
    Variant,
)
from services.cadence.model.stages import Stage
from tests.unit.cadence.journeys import COURSE

TEXTS = dict.fromkeys(("t", "t1", "t2", "t3"), ("en", "ko"))
LOCALES = ("en", "ko")


def faults(program: Program) -> list[tuple[str, str | None]]:
    return [(each.fault.value, each.step) for each in lint_program(program, TEXTS, LOCALES)]


def with_steps(*steps: Step) -> Program:
    return replace(COURSE, steps=steps)


def asks(fact: str) -> Condition:
    return Condition(none=(Comparison(fact=fact, value=True),))


def test_a_sound_program_has_no_findings():
    assert faults(COURSE) == []


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), [("no_step", None)]),
        (
            (Step(id="a", template="t"), Step(id="b", template="t")),
            [("unreachable_step", "b")],
        ),
        ((Step(id="a", template="t", then="b"),), [("unknown_step", "a")]),
        ((Step(id="a", template="t", then="a"),), [("cycle", "a")]),
        (
            (
                Step(id="a", template="t", then="b"),
                Step(id="b", template="t", branches=(Branch(to="a", when=Condition()),)),
            ),
            [("cycle", "b")],
        ),
        (
            (Step(id="a", template="t", then="a/b"), Step(id="a/b", template="t")),
            [("bad_id", "a/b")],
        ),
        ((Step(id="a", template="t", channels=()),), [("no_channel", "a")]),
        ((Step(id="a", template="t", rhythm=Rhythm.AFTER),), [("bad_wait", "a")]),
        ((Step(id="a", template="t", wait=timedelta(days=1)),), [("bad_wait", "a")]),
        (
            (Step(id="a", template="t", rhythm=Rhythm.AFTER, wait=-timedelta(days=1)),),
            [("bad_wait", "a")],
        ),
        ((Step(id="a", template="nowhere"),), [("missing_template", "a")]),
        (
            (Step(id="a", template="t", variants=(Variant(id="x", template="t", share=0),)),),
            [("bad_shares", "a")],
        ),
        ((Step(id="a", template="t", only_if=asks("opened:a")),), [("depends_on_opens", "a")]),
        ((Step(id="a", template="t", only_if=asks("opened")),), [("depends_on_opens", "a")]),
        ((Step(id="a", template="t", only_if=asks("mood")),), [("unknown_fact", "a")]),
    ],
)
def test_a_fault_is_found_with_its_step(
    steps: tuple[Step, ...], expected: list[tuple[str, str | None]]
):
    assert faults(with_steps(*steps)) == expected


def test_two_steps_of_one_id_are_found():
    found = faults(with_steps(Step(id="a", template="t"), Step(id="a", template="t")))

    assert ("duplicate_step", "a") in found


def test_ways_that_part_and_meet_again_are_no_circle():
    parting = with_steps(
        Step(id="a", template="t", branches=(Branch(to="c", when=Condition()),), then="b"),
        Step(id="b", template="t", then="d"),
        Step(id="c", template="t", then="d"),
        Step(id="d", template="t"),
    )

    assert faults(parting) == []


def test_a_very_long_program_is_gone_through_too():
    ids = [f"s{number}" for number in range(5000)]
    steps = [
        Step(id=id_, template="t", then=then)
        for id_, then in zip(ids, [*ids[1:], None], strict=True)
    ]

    assert faults(with_steps(*steps)) == []


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_hold_out_of_nobody_or_all_is_found(share: float):
    assert faults(replace(COURSE, hold_out=share)) == [("bad_shares", None)]


def test_entry_and_end_are_looked_at_too():
    program = replace(COURSE, entry=Entry(event="x", when=asks("mood")), ends_if=asks("opened:one"))

    assert faults(program) == [("unknown_fact", None), ("depends_on_opens", None)]


def test_a_missing_translation_is_found_for_each_locale():
    found = lint_program(with_steps(Step(id="a", template="t")), {"t": ("en",)}, LOCALES)

    assert [(each.fault, each.message) for each in found] == [
        (Fault.MISSING_TRANSLATION, "template 't' is not written in ko")
    ]


def test_every_wording_is_a_template_that_has_to_be_there():
    step = Step(
        id="a",
        template="t",
        variants=(Variant(id="x", template="t1"), Variant(id="y", template="none")),
    )

    assert faults(with_steps(step)) == [("missing_template", "a")]


def test_a_stage_without_a_message_is_found_and_churned_needs_none():
    found = lint([COURSE], TEXTS, LOCALES)

    without = {each.message.split()[-1] for each in found}
    assert {each.fault for each in found} == {Fault.STAGE_WITHOUT_MESSAGE}
    assert without == {str(stage) for stage in Stage} - {"training", "churned"}


def test_two_programs_of_one_id_are_found():
    found = lint([COURSE, COURSE], TEXTS, LOCALES)

    assert [each.program for each in found if each.fault is Fault.DUPLICATE_PROGRAM] == ["course"]
