"""Occurrences: late ones, gaps in service, pauses, churn, zones that move; each rule's borders."""

from datetime import date, time, timedelta
from itertools import pairwise

import pytest

from services.cadence.model.occurrences import Policy, Skip, Standing, refusal
from services.cadence.model.quiet import QuietHours
from services.cadence.model.spans import Span
from services.cadence.model.zones import ZoneSource
from tests.unit.cadence.people import (
    DATABASE,
    LOS_ANGELES,
    SEOUL,
    at,
    learned,
    moved,
    person,
    planned,
    sends,
    skips,
    span,
)

# Signed up on Monday 2025-06-02 at 09:00 in Seoul, which is midnight in UTC.
MONDAY = "2025-06-02T00:00Z"
JUNE = ("2025-06-01T00:00Z", "2025-06-30T00:00Z")
NIGHT = QuietHours(time(22), time(7))


def test_nothing_weekly_goes_out_on_the_day_of_sign_up():
    found = planned(person(MONDAY, SEOUL), *JUNE)

    assert sends(found) == ["2025-06-09T00:00Z", "2025-06-16T00:00Z", "2025-06-23T00:00Z"]
    assert [str(each.on) for each in found] == ["2025-06-09", "2025-06-16", "2025-06-23"]


def test_a_horizon_holds_its_start_and_not_its_end():
    facts = person(MONDAY, SEOUL)

    assert sends(planned(facts, "2025-06-09T00:00Z", "2025-06-16T00:00Z")) == ["2025-06-09T00:00Z"]
    assert planned(facts, "2025-06-09T00:01Z", "2025-06-16T00:00Z") == []


def test_seconds_of_the_sign_up_are_dropped():
    facts = person("2025-06-02T00:00:59Z", SEOUL)

    assert sends(planned(facts, *JUNE))[0] == "2025-06-09T00:00Z"


@pytest.mark.parametrize(
    ("outage_ends", "sent", "skipped"),
    [
        ("2025-06-09T05:59Z", "2025-06-09T05:59Z", []),
        ("2025-06-09T06:00Z", "2025-06-09T06:00Z", []),
        ("2025-06-09T06:01Z", "2025-06-16T00:00Z", [("2025-06-09", "missed_beyond_grace")]),
    ],
)
def test_a_message_is_sent_up_to_the_grace_late(
    outage_ends: str, sent: str, skipped: list[tuple[str, str]]
):
    found = planned(person(MONDAY, SEOUL), *JUNE, outages=[span("2025-06-08T23:00Z", outage_ends)])

    assert sends(found)[0] == sent
    assert skips(found) == skipped


def test_an_outage_that_ends_as_the_message_is_due_makes_nothing_late():
    found = planned(
        person(MONDAY, SEOUL), *JUNE, outages=[span("2025-06-08T23:00Z", "2025-06-09T00:00Z")]
    )

    assert not any(each.late for each in found)
    assert len(sends(found)) == 3


def test_of_several_that_were_held_up_the_newest_alone_goes():
    found = planned(
        person(MONDAY, SEOUL),
        *JUNE,
        policy=Policy(grace=timedelta(days=20)),
        outages=[span("2025-06-08T23:00Z", "2025-06-17T12:00Z")],
    )

    assert skips(found) == [("2025-06-09", "superseded")]
    assert sends(found) == ["2025-06-17T12:00Z", "2025-06-23T00:00Z"]


def test_one_that_would_go_as_the_next_is_due_gives_way_to_it():
    found = planned(
        person(MONDAY, SEOUL),
        *JUNE,
        policy=Policy(grace=timedelta(days=7)),
        outages=[span("2025-06-08T23:00Z", "2025-06-16T00:00Z")],
    )

    assert skips(found) == [("2025-06-09", "superseded")]
    assert sends(found)[0] == "2025-06-16T00:00Z"


def test_a_sign_up_that_comes_late_is_an_outage_until_then():
    found = planned(person(MONDAY, SEOUL, known="2025-06-16T04:00Z"), *JUNE)

    assert skips(found) == [("2025-06-09", "missed_beyond_grace")]
    assert sends(found) == ["2025-06-16T04:00Z", "2025-06-23T00:00Z"]


@pytest.mark.parametrize(
    ("pause", "sent"),
    [
        (("2025-06-08T00:00Z", "2025-06-09T00:00Z"), True),
        (("2025-06-09T00:00Z", "2025-06-09T00:01Z"), False),
        (("2025-06-09T00:01Z", "2025-06-10T00:00Z"), True),
    ],
)
def test_a_pause_drops_what_is_due_inside_it(pause: tuple[str, str], sent: bool):  # noqa: FBT001
    found = planned(person(MONDAY, SEOUL, pauses=[span(*pause)]), *JUNE)

    assert ("2025-06-09T00:00Z" in sends(found)) is sent
    assert skips(found) == ([] if sent else [("2025-06-09", "paused")])
    assert sends(found)[-1] == "2025-06-23T00:00Z"


def test_a_late_message_is_not_sent_into_a_pause():
    found = planned(
        person(MONDAY, SEOUL, pauses=[span("2025-06-09T02:00Z", "2025-06-10T00:00Z")]),
        *JUNE,
        outages=[span("2025-06-08T23:00Z", "2025-06-09T03:00Z")],
    )

    assert skips(found) == [("2025-06-09", "paused")]


@pytest.mark.parametrize(("churned", "sent"), [("2025-06-16T00:00Z", 1), ("2025-06-16T00:01Z", 2)])
def test_nothing_goes_at_or_after_churn(churned: str, sent: int):
    found = planned(person(MONDAY, SEOUL, churned_at=at(churned)), *JUNE)

    assert len(sends(found)) == sent
    assert {reason for _, reason in skips(found)} == {"churned"}


def test_reactivation_keeps_the_anchor():
    found = planned(
        person(
            MONDAY,
            SEOUL,
            churned_at=at("2025-06-12T00:00Z"),
            reactivated_at=at("2025-06-16T00:00Z"),
        ),
        *JUNE,
    )

    assert sends(found) == ["2025-06-09T00:00Z", "2025-06-16T00:00Z", "2025-06-23T00:00Z"]


def test_churn_cancels_what_is_due_before_it_and_not_yet_sent():
    found = planned(
        person(
            MONDAY,
            SEOUL,
            churned_at=at("2025-06-09T01:00Z"),
            reactivated_at=at("2025-06-09T02:00Z"),
        ),
        *JUNE,
        outages=[span("2025-06-09T00:00Z", "2025-06-09T03:00Z")],
    )

    assert skips(found) == [("2025-06-09", "churned")]


def test_a_reactivation_before_the_churn_brings_nobody_back():
    standing = Standing(churned_at=at("2025-06-10T00:00Z"), reactivated_at=at("2025-06-01T00:00Z"))

    assert standing.churned is not None
    assert at("2030-01-01T00:00Z") in standing.churned


def test_quiet_hours_delay_and_never_skip():
    signed_up = "2025-06-02T14:30Z"  # 23:30 in Seoul

    found = planned(person(signed_up, SEOUL), *JUNE, policy=Policy(quiet=NIGHT))

    assert sends(found) == ["2025-06-09T22:00Z", "2025-06-16T22:00Z", "2025-06-23T22:00Z"]
    assert not any(each.late for each in found)
    assert [str(each.on) for each in found][:1] == ["2025-06-09"]


def test_lateness_counts_from_the_end_of_quiet_hours():
    signed_up = "2025-06-02T14:30Z"  # 23:30 in Seoul; loud from 22:00Z on

    found = planned(
        person(signed_up, SEOUL),
        *JUNE,
        policy=Policy(quiet=NIGHT),
        outages=[span("2025-06-09T14:00Z", "2025-06-10T04:00Z")],
    )

    assert sends(found)[0] == "2025-06-10T04:00Z"


def test_a_late_message_waits_for_the_end_of_quiet_hours_too():
    found = planned(
        person("2025-06-02T12:00Z", SEOUL),  # 21:00 in Seoul
        *JUNE,
        policy=Policy(quiet=NIGHT, grace=timedelta(hours=10)),
        outages=[span("2025-06-09T11:00Z", "2025-06-09T15:00Z")],
    )

    assert sends(found)[0] == "2025-06-09T22:00Z"
    assert found[0].late


def test_a_move_that_passes_the_hour_by_makes_it_late_and_loses_nothing():
    facts = person("2025-06-02T16:00Z", LOS_ANGELES, moved("2025-06-16T01:00Z", SEOUL))

    found = planned(facts, *JUNE)

    assert sends(found) == ["2025-06-09T16:00Z", "2025-06-16T01:00Z", "2025-06-23T00:00Z"]
    assert [each.late for each in found] == [False, True, False]
    assert len({each.on for each in found}) == 3


def test_a_move_that_passes_the_hour_by_for_long_shows_as_missed():
    facts = person("2025-06-02T16:00Z", LOS_ANGELES, moved("2025-06-16T06:01Z", SEOUL))

    found = planned(facts, *JUNE)

    assert skips(found) == [("2025-06-16", "missed_beyond_grace")]


def test_a_zone_that_is_learned_gives_the_sign_up_its_own_weekday_and_hour():
    facts = person("2025-03-03T02:00Z", None, learned("2025-03-05T00:00Z", "America/New_York"))

    found = planned(facts, "2025-03-01T00:00Z", "2025-03-20T00:00Z")

    assert [str(each.on) for each in found] == ["2025-03-09", "2025-03-16"]  # Sunday, 21:00
    assert sends(found) == ["2025-03-10T01:00Z", "2025-03-17T01:00Z"]
    assert found[0].zone_source is ZoneSource.USER


def test_a_zone_learned_just_after_a_message_brings_no_second_one():
    facts = person("2025-03-03T03:30Z", None, learned("2025-11-10T03:45Z", "America/New_York"))

    found = planned(facts, "2025-11-08T00:00Z", "2025-11-20T00:00Z")

    assert sends(found) == ["2025-11-10T03:30Z", "2025-11-17T03:30Z"]
    assert found[0].on == date(2025, 11, 10)
    assert found[-1].on == date(2025, 11, 16)


def test_learning_a_zone_in_summer_time_makes_the_hour_that_was_just_used_too_close():
    facts = person("2025-03-03T03:30Z", "America/New_York", learned("2025-06-09T02:45Z", "UTC"))

    found = planned(facts, "2025-06-08T00:00Z", "2025-06-17T00:00Z")

    assert sends(found) == ["2025-06-09T02:30Z", "2025-06-16T03:30Z"]
    assert skips(found) == [("2025-06-09", "too_close")]


def test_unusable_zone_text_changes_nothing():
    hostile = ("../../etc/passwd", "Asia", "", "asia/seoul", "A" * 5000, "\x00", "UTC\r\nBcc: x")
    events = [moved("2025-06-10T00:00Z", text) for text in hostile]

    found = planned(person(MONDAY, SEOUL, *events), *JUNE)

    assert sends(found) == sends(planned(person(MONDAY, SEOUL), *JUNE))


def test_a_move_to_the_zone_one_is_in_changes_nothing():
    facts = person(MONDAY, SEOUL, moved("2025-06-09T00:00Z", SEOUL))

    assert sends(planned(facts, *JUNE)) == sends(planned(person(MONDAY, SEOUL), *JUNE))


@pytest.mark.parametrize("minutes", [7, 29, 60, 601])
def test_a_zone_that_flaps_never_brings_two_within_84_hours(minutes: int):
    start = at("2025-06-15T20:00Z")
    flaps = [
        moved((start + timedelta(minutes=minutes * number)).isoformat(), zone)
        for number, zone in enumerate([LOS_ANGELES, SEOUL] * 25)
    ]

    found = planned(person(MONDAY, SEOUL, *flaps), "2025-06-01T00:00Z", "2025-08-01T00:00Z")

    instants = [each.send_at for each in found if each.send_at is not None]
    assert len(instants) >= 7
    assert all(b - a >= timedelta(hours=84) for a, b in pairwise(instants))
    named = [each.on for each in found if each.skip is not Skip.TOO_CLOSE]
    assert len(named) == len(set(named))


def test_what_a_handover_asks_is_what_the_plan_asked():
    standing = Standing(pauses=[span("2025-06-09T00:00Z", "2025-06-10T00:00Z")])
    due = at("2025-06-09T00:00Z")

    refused = refusal(due_at=due, send_at=due, standing=standing, grace=timedelta(hours=6))

    assert refused is Skip.PAUSED


def test_a_person_of_many_years_is_planned_from_the_horizon_on():
    facts = person("1971-01-04T00:00Z", "UTC")

    found = planned(facts, "2190-01-01T00:00Z", "2190-01-09T00:00Z")

    assert len(found) == 1
    assert found[0].on.weekday() == 0


def test_an_empty_horizon_shows_nothing():
    instant = at("2025-06-09T00:00Z")

    assert planned(person(MONDAY, SEOUL), "2025-06-09T00:00Z", "2025-06-09T00:00Z") == []
    assert instant not in Span(instant, instant)
    assert DATABASE.knows(SEOUL)
