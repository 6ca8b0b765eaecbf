"""A person's way through a program: what comes next, when, and under which name."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

from services.cadence.model import defaults
from services.cadence.model.journeys import Journey, Message, Sent, upcoming
from services.cadence.model.occurrences import Facts, Policy, Skip
from services.cadence.model.programs import Program, Rhythm, Step, Value, Variant
from services.cadence.model.quiet import QuietHours
from tests.unit.cadence.journeys import COURSE
from tests.unit.cadence.people import (
    DATABASE,
    LOS_ANGELES,
    SEOUL,
    at,
    moved,
    person,
    span,
)

SIGNED_UP = at("2025-06-02T00:00Z")  # Monday, 09:00 in Seoul
JUNE = span("2025-06-01T00:00Z", "2025-07-01T00:00Z")
PERSON = person("2025-06-02T00:00Z", SEOUL)
ENTERED = Journey(user="u-42", entered_at=SIGNED_UP)
PASSING = {"used:reports": 0}


def ahead(
    program: Program = COURSE,
    journey: Journey = ENTERED,
    who: Facts = PERSON,
    values: Mapping[str, Value | None] | None = None,
    **asked: Any,
) -> list[Message]:
    return upcoming(
        program,
        journey,
        who,
        values or {},
        **{"policy": Policy(), "horizon": JUNE, "database": DATABASE, **asked},
    )


def shown(messages: list[Message]) -> list[tuple[str, str]]:
    return [(each.step, each.due_at.strftime("%m-%dT%H:%M")) for each in messages]


def once(rhythm: Rhythm, **fields: Any) -> Program:
    return replace(COURSE, steps=(Step(id="s", template="t", rhythm=rhythm, **fields),))


def test_weekly_steps_go_one_a_week_at_the_persons_hour():
    messages = ahead()

    assert shown(messages) == [
        ("one", "06-09T00:00"),
        ("two", "06-16T00:00"),
        ("three", "06-23T00:00"),
    ]
    assert [each.identity for each in messages] == [
        "course/u-42/2025-06-09",
        "course/u-42/2025-06-16",
        "course/u-42/2025-06-23",
    ]


def test_a_missed_week_skips_no_step():
    paused = person(
        "2025-06-02T00:00Z", SEOUL, pauses=[span("2025-06-15T00:00Z", "2025-06-17T00:00Z")]
    )

    messages = ahead(who=paused)

    assert [(each.step, str(each.identity)[-5:], each.skip) for each in messages] == [
        ("one", "06-09", None),
        ("two", "06-16", Skip.PAUSED),
        ("two", "06-23", None),
        ("three", "06-30", None),
    ]


def test_what_was_sent_is_not_planned_again():
    sent = replace(ENTERED, sent=[Sent("one", at("2025-06-09T00:00:03Z"))])

    assert shown(ahead(journey=sent))[0] == ("two", "06-16T00:00")


def test_a_date_that_is_decided_on_is_left_alone():
    missed = replace(ENTERED, decided_on={date(2025, 6, 9)})

    assert shown(ahead(journey=missed))[0] == ("one", "06-16T00:00")


def test_planning_twice_gives_the_same_names():
    assert ahead() == ahead()


def test_a_step_that_was_not_sent_when_the_horizon_begins_is_the_next():
    second_week = span("2025-06-15T00:00Z", "2025-06-22T00:00Z")

    assert shown(ahead(horizon=second_week)) == [("one", "06-16T00:00")]


def test_whoever_moves_gets_the_same_dates_at_the_new_hour():
    messages = ahead(
        who=person("2025-06-02T00:00Z", SEOUL, moved("2025-06-10T00:00Z", LOS_ANGELES))
    )

    assert shown(messages)[1:] == [("two", "06-16T16:00"), ("three", "06-23T16:00")]
    assert messages[1].identity == ahead()[1].identity


def test_who_has_left_gets_nothing():
    ending = defaults.WEEKLY_COURSE

    assert ahead(ending, values={"stage": "churned"}) == []
    assert len(ahead(ending)) == 4


def test_a_step_at_once_is_due_with_the_entry():
    assert shown(ahead(once(Rhythm.AT_ONCE))) == [("s", "06-02T00:00")]
    assert ahead(once(Rhythm.AT_ONCE))[0].identity == "course/u-42/s"


def test_a_step_after_some_days_keeps_the_wall_clock():
    new_york = person("2025-03-08T14:00Z", "America/New_York")  # 09:00 the day before the gap
    entered = Journey(user="u", entered_at=at("2025-03-08T14:00Z"))
    spring = span("2025-03-01T00:00Z", "2025-04-01T00:00Z")

    later = ahead(once(Rhythm.AFTER, wait=timedelta(days=3)), entered, new_york, horizon=spring)

    assert shown(later) == [("s", "03-11T13:00")]


def test_a_step_after_some_hours_counts_hours():
    later = ahead(once(Rhythm.AFTER, wait=timedelta(hours=30)))

    assert shown(later) == [("s", "06-03T06:00")]


def test_a_step_before_a_date_goes_at_the_persons_hour_until_the_date_is_over():
    renewing = replace(ENTERED, about="c-1", names_on=date(2025, 6, 20))

    (notice,) = ahead(once(Rhythm.BEFORE, wait=timedelta(days=7)), renewing)

    assert notice.due_at == at("2025-06-13T00:00Z")
    assert notice.deadline == at("2025-06-20T15:00Z")  # midnight in Seoul
    assert notice.identity == "course:c-1/u-42/s"


def test_a_step_before_a_date_that_is_near_goes_at_once():
    renewing = replace(ENTERED, names_on=date(2025, 6, 4))

    assert shown(ahead(once(Rhythm.BEFORE, wait=timedelta(days=7)), renewing)) == [
        ("s", "06-02T00:00")
    ]


def test_a_step_before_an_unknown_date_does_not_go():
    assert ahead(once(Rhythm.BEFORE, wait=timedelta(days=7))) == []


def test_quiet_hours_hold_for_every_rhythm():
    night = Policy(quiet=QuietHours(time(8), time(10)))

    assert shown(ahead(once(Rhythm.AT_ONCE), policy=night)) == [("s", "06-02T01:00")]
    assert shown(ahead(policy=night))[0] == ("one", "06-09T01:00")


def test_whoever_is_held_out_is_shown_and_marked():
    nearly_all = replace(COURSE, hold_out=0.999999)

    assert {each.held_out for each in ahead(nearly_all)} == {True}
    assert {each.held_out for each in ahead()} == {False}


def test_a_variant_brings_its_own_template():
    step = Step(id="s", template="t", variants=(Variant(id="b", template="tb"),))

    (message, *_) = ahead(replace(COURSE, steps=(step,)))

    assert (message.variant, message.template) == ("b", "tb")


def test_a_circle_comes_to_an_end():
    steps = (Step(id="a", template="t", then="b"), Step(id="b", template="t", then="a"))

    assert [each.step for each in ahead(replace(COURSE, steps=steps), values=PASSING)] == ["a", "b"]
