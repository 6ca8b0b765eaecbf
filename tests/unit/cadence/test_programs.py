"""Programs: how people enter and leave, which step comes next, by which channel it goes."""

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import pytest

from services.cadence.model import defaults
from services.cadence.model.lint import lint, templates_of
from services.cadence.model.programs import (
    Channel,
    Comparison,
    Condition,
    How,
    Pillar,
    Program,
    Rhythm,
    Step,
    Value,
    channel_for,
    channels_in_order,
    enters,
    holds,
    identity_of,
    known_fact,
    leaves,
    next_step,
)
from tests.unit.cadence.journeys import COURSE, PAYING


@pytest.mark.parametrize(
    ("how", "value", "fact", "true"),
    [
        ("equal", "pro", "pro", True),
        ("equal", "pro", None, False),
        ("equal", 1, True, False),
        ("equal", 1, 1.0, True),
        ("not_equal", "pro", "free", True),
        ("not_equal", "pro", None, False),
        ("at_least", 3, 3, True),
        ("at_least", 3, 2, False),
        ("at_least", 3, "4", False),
        ("at_least", 1, True, False),
        ("at_most", 3, 3, True),
        ("at_most", 3, 4, False),
        ("known", None, "x", True),
        ("known", None, None, False),
        ("unknown", None, None, True),
        ("unknown", None, 0, False),
    ],
)
def test_a_comparison_is_true_of_what_is_known(
    how: str,
    value: Value | None,
    fact: Value | None,
    true: bool,  # noqa: FBT001
):
    asked = Condition(every=(Comparison(fact="plan", how=How(how), value=value),))

    assert holds(asked, {"plan": fact}) is true
    assert holds(asked, {} if fact is None else {"plan": fact}) is true


def test_a_condition_asks_all_any_and_none():
    a, b, c = (Comparison(fact=name, value=True) for name in ("onboarded", "paying", "tag:x"))
    asked = Condition(every=(a,), any_of=(b, c), none=(Comparison(fact="plan", value="free"),))

    assert holds(asked, {"onboarded": True, "tag:x": True})
    assert not holds(asked, {"onboarded": True})
    assert not holds(asked, {"onboarded": True, "paying": True, "plan": "free"})
    assert not holds(asked, {"paying": True})
    assert holds(Condition(), {})


def test_an_event_brings_a_person_in_once():
    assert enters(COURSE, "user.identified.v1", {}, entered_before=False)
    assert not enters(COURSE, "user.identified.v1", {}, entered_before=True)
    assert not enters(COURSE, "account.upserted.v1", {}, entered_before=False)


def test_a_program_that_repeats_is_entered_again():
    again = replace(COURSE, repeats=True)

    assert enters(again, "user.identified.v1", {}, entered_before=True)


def test_nobody_enters_who_would_leave_at_once():
    ending = replace(COURSE, ends_if=PAYING)

    assert leaves(ending, {"paying": True})
    assert not leaves(ending, {"paying": False})
    assert not leaves(COURSE, {"paying": True})
    assert not enters(ending, "user.identified.v1", {"paying": True}, entered_before=False)


def step_after(*sent: str, program: Program = COURSE, **facts: Value) -> str | None:
    found = next_step(
        program, sent, {key.replace("__", ":"): value for key, value in facts.items()}
    )
    return None if found is None else found.id


def test_the_next_step_follows_from_what_was_sent():
    assert step_after() == "one"
    assert step_after("one") == "two"
    assert step_after("one", "two") == "three"
    assert step_after("one", "two", "three") is None


def test_a_branch_goes_before_the_usual_way():
    assert step_after("one", used__reports=2) == "three"
    assert step_after("one", used__reports=1) == "two"


def test_a_step_whose_condition_fails_is_passed_over():
    picky = replace(
        COURSE,
        steps=(COURSE.steps[0], replace(COURSE.steps[1], only_if=PAYING), COURSE.steps[2]),
    )

    assert step_after("one", program=picky, paying=False) == "three"
    assert step_after("one", program=picky, paying=True) == "two"


def test_a_step_that_is_gone_from_a_newer_version_ends_the_journey():
    assert step_after("an-old-step") is None


def test_steps_in_a_circle_end():
    circle = replace(
        COURSE,
        steps=(
            Step(id="one", template="t", then="two"),
            Step(id="two", template="t", only_if=PAYING, then="one"),
        ),
    )

    assert step_after("one", program=circle) is None
    assert step_after("one", program=circle, paying=True) == "two"
    assert step_after("one", "two", program=circle, paying=True) is None


def test_a_preferred_channel_goes_first_if_the_step_has_it():
    step = Step(id="s", template="t", channels=(Channel.EMAIL, Channel.IN_APP))

    assert channels_in_order(step.channels, []) == ["email", "in_app"]
    assert channels_in_order(step.channels, ["carrier-pigeon", "in_app", "slack", "in_app"]) == [
        "in_app",
        "email",
    ]


def test_the_next_channel_is_taken_where_one_cannot_reach_the_person():
    step = Step(id="s", template="t", channels=(Channel.EMAIL, Channel.IN_APP))

    assert channel_for(step.channels, ["email"], {Channel.IN_APP, Channel.SLACK}) is Channel.IN_APP
    assert channel_for(step.channels, [], {Channel.SLACK}) is None


def test_a_message_is_named_by_program_person_and_civil_date_or_step():
    assert identity_of("course", "u-42", date(2025, 2, 10)) == "course/u-42/2025-02-10"
    assert identity_of("welcome", "a/b", "welcome") == "welcome/a/b/welcome"


@pytest.mark.parametrize(
    ("name", "known"),
    [("stage", True), ("used:reports", True), ("used:", False), ("opened:x", False), ("", False)],
)
def test_conditions_ask_for_known_facts(name: str, known: bool):  # noqa: FBT001
    assert known_fact(name) is known


@pytest.mark.parametrize("program", defaults.PROGRAMS, ids=lambda program: program.id)
def test_a_default_program_survives_being_written_down(program: Program):
    assert msgspec.json.decode(msgspec.json.encode(program), type=Program) == program


def test_the_default_programs_have_nothing_that_lint_finds():
    texts = {
        template: defaults.LOCALES
        for program in defaults.PROGRAMS
        for step in program.steps
        for template in templates_of(step)
    }

    assert lint(defaults.PROGRAMS, texts, defaults.LOCALES) == []


def test_the_default_programs_are_those_the_playbook_asks_for():
    weekly = next(each for each in defaults.PROGRAMS if each.id == "weekly-course")

    ids = {program.id for program in defaults.PROGRAMS}

    assert {"welcome", "payment-guide", "usage-guide"} <= ids  # M9
    assert {step.rhythm for step in weekly.steps} == {Rhythm.WEEKLY}  # J11
    assert {program.pillar for program in defaults.PROGRAMS} == set(Pillar)  # J2


def test_an_announcement_stops_with_the_first_use():
    announced = next(each for each in defaults.PROGRAMS if each.id == "feature-announcement")

    assert not leaves(announced, {"used:announced": 0})
    assert leaves(announced, {"used:announced": 1})
    assert all(step.wait >= timedelta() for step in announced.steps)


@pytest.mark.parametrize("nps_class", ["detractor", "passive", "promoter"])
def test_each_class_of_answers_is_followed_up_in_its_own_way(nps_class: str):
    event, now = "nps.class_changed.v1", {"nps_class": nps_class}

    entered = [
        program.id
        for program in defaults.PROGRAMS
        if enters(program, event, now, entered_before=True)
    ]

    assert entered == [f"nps-{nps_class}"]
    program = next(each for each in defaults.PROGRAMS if each.id == f"nps-{nps_class}")
    assert leaves(program, {"nps_class": "another"})
