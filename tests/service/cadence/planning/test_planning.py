"""From a sign-up to the messages of the next days, and from those to a letter."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from shared.events.base import Caused, Event
from shared.events.cadence import AnchorSet, DueMoved
from shared.events.ingest import UserIdentified
from tests.service.cadence.delivery.office import now_of, provider, work
from tests.service.cadence.planning.desk import (
    SIGNED_UP,
    Desk,
    configured,
    member,
    signed_up,
    told,
)
from tests.support.smtp import MailServer
from tests.unit.cadence.people import database_of_2025

E = TypeVar("E", bound=Event)
FIRST_WEEK = SIGNED_UP + timedelta(days=7)
WELCOME = "welcome/u-1/welcome"
GUIDE = "payment-guide/u-1/payment-guide"
WEEKLY = "weekly-course/u-1/2026-03-09"
NEXT_WEEKLY = "weekly-course/u-1/2026-03-16"
SOON_AFTER = SIGNED_UP + timedelta(seconds=2)


async def test_a_sign_up_is_welcomed_at_once_and_written_to_at_its_hour_each_week(desk: Desk):
    await desk.fold(configured(), signed_up())

    caused = await desk.plan_at(SOON_AFTER)

    assert await desk.messages() == [
        (WELCOME, "welcome", SIGNED_UP),
        (GUIDE, "payment-guide", SIGNED_UP + timedelta(days=3)),
        (WEEKLY, "course-1", FIRST_WEEK),
    ]
    (anchor,) = (each.event for each in caused if isinstance(each.event, AnchorSet))
    assert (anchor.weekday, anchor.local_time, anchor.zone) == ("MON", "08:10", "Asia/Seoul")


async def test_a_person_who_signs_up_now_gets_a_letter_and_it_is_told(desk: Desk, mail: MailServer):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now))
    await desk.plan_at(now)

    await work(desk.handover(provider(mail.port)), desk.until(WELCOME, "accepted"))

    (got,) = mail.got_by("u-1@example.com")
    assert "Kim" in got.letter.as_string()
    assert await desk.told() == ["anchor_set", "delivery_handed_over", "delivery_accepted"]


async def test_everything_replayed_twice_makes_no_new_row(desk: Desk):
    events = [
        configured(),
        signed_up(),
        member("a-1", SIGNED_UP, plan="team"),
        signed_up(SIGNED_UP + timedelta(days=1), time_zone="Europe/London"),
    ]
    await desk.fold(*events)
    await desk.plan_at(SOON_AFTER)
    first = await desk.messages()

    for _ in range(2):
        await desk.fold(*events)
        assert await desk.plan_at(SOON_AFTER) == []

    assert await desk.messages() == first
    (counted,) = await desk.ask("SELECT count(*) AS n FROM decision")
    assert counted.n == len(first)


async def test_what_is_told_in_another_order_leads_to_the_same_plan(desk: Desk):
    events = [
        member("a-2", SIGNED_UP + timedelta(hours=1), plan="team"),
        signed_up(SIGNED_UP + timedelta(days=1), time_zone="Europe/London"),
        signed_up(),
        configured(),
    ]
    for event in events:
        await desk.fold(event)
    await desk.plan_at(SIGNED_UP + timedelta(days=2))

    (row,) = await desk.ask("SELECT account, signed_up_at, email FROM person")
    assert (row.account, row.signed_up_at) == ("a-1", SIGNED_UP)
    # Moved to London: the same wall clock there.
    due = {identity: at for identity, _, at in await desk.messages()}
    assert due[WEEKLY] == datetime(2026, 3, 9, 8, 10, tzinfo=UTC)


async def test_a_missed_week_skips_no_step(desk: Desk):
    await desk.fold(configured(), signed_up())
    await desk.plan_at(SOON_AFTER)
    await desk.end(WEEKLY, "missed")

    await desk.everybody()
    await desk.plan_at(FIRST_WEEK + timedelta(hours=7))

    steps = {identity: step for identity, step, _ in await desk.messages()}
    assert steps[NEXT_WEEKLY] == "course-1"


async def test_the_next_step_follows_the_one_that_was_sent(desk: Desk):
    await desk.fold(configured(), signed_up())
    await desk.plan_at(SOON_AFTER)
    await desk.end(WEEKLY)

    await desk.everybody()
    await desk.plan_at(FIRST_WEEK + timedelta(hours=7))

    steps = {identity: step for identity, step, _ in await desk.messages()}
    assert steps[NEXT_WEEKLY] == "course-2"


async def test_a_zone_that_is_learned_later_moves_what_is_not_yet_sent(desk: Desk):
    await desk.fold(configured(), signed_up(time_zone=None))
    await desk.plan_at(SOON_AFTER)
    await desk.end(WELCOME)
    before = await desk.messages()

    learned = UserIdentified(user="u-1", time_zone="America/New_York")
    await desk.fold(told(learned, SIGNED_UP + timedelta(days=1)))
    caused = await desk.plan_at(SIGNED_UP + timedelta(days=1, seconds=2))

    # In UTC the sign-up was on a Sunday at 23:10, in New York on that Sunday at 18:10.
    assert before[-1] == ("weekly-course/u-1/2026-03-08", "course-1", FIRST_WEEK)
    assert (await desk.messages())[-1] == (
        "weekly-course/u-1/2026-03-08",
        "course-1",
        datetime(2026, 3, 8, 22, 10, tzinfo=UTC),  # summer time there since that morning
    )
    moved = [event for event in _events(caused, DueMoved) if event.program == "weekly-course"]
    assert [(event.from_, event.why) for event in moved] == [(FIRST_WEEK, "zone")]
    (anchor,) = _events(caused, AnchorSet)
    assert (anchor.weekday, anchor.local_time) == ("SUN", "18:10")


async def test_a_zone_that_gives_other_civil_dates_leaves_no_message_of_the_old_ones(desk: Desk):
    await desk.fold(configured(), signed_up(time_zone=None))
    await desk.plan_at(SOON_AFTER)

    learned = UserIdentified(user="u-1", time_zone="Asia/Seoul")
    await desk.fold(told(learned, SIGNED_UP + timedelta(days=1)))
    await desk.plan_at(SIGNED_UP + timedelta(days=1, seconds=2))

    weekly = [each for each in await desk.messages() if each[0].startswith("weekly-course")]
    assert weekly == [(WEEKLY, "course-1", FIRST_WEEK)]


async def test_a_corrected_sign_up_moves_what_is_not_yet_sent(desk: Desk):
    await desk.fold(configured(), signed_up())
    await desk.plan_at(SOON_AFTER)
    await desk.end(WELCOME)

    corrected = UserIdentified(user="u-1", signed_up_at=SIGNED_UP - timedelta(hours=2))
    await desk.fold(told(corrected, SIGNED_UP + timedelta(days=1)))
    await desk.plan_at(SIGNED_UP + timedelta(days=1, seconds=2))

    due = {identity: at for identity, _, at in await desk.messages()}
    assert due[WEEKLY] == FIRST_WEEK - timedelta(hours=2)
    assert due[WELCOME] == SIGNED_UP


async def test_another_iana_database_moves_only_what_is_not_yet_sent(desk: Desk, tmp_path: Path):
    """Drill 9."""
    signed_up_at = datetime(2026, 10, 27, 16, 0, tzinfo=UTC)  # a Tuesday, 09:00 in Vancouver
    await desk.fold(configured(), signed_up(signed_up_at, time_zone="America/Vancouver"))
    old = database_of_2025(tmp_path)
    await desk.plan_at(signed_up_at, tzdata=lambda: old)
    await desk.end("welcome/u-1/welcome")
    weekly = "weekly-course/u-1/2026-11-03"
    before = {identity: at for identity, _, at in await desk.messages()}
    assert before[weekly] == datetime(2026, 11, 3, 17, 0, tzinfo=UTC)

    caused = await desk.plan_at(signed_up_at + timedelta(days=1))

    after = {identity: at for identity, _, at in await desk.messages()}
    assert after[weekly] == datetime(2026, 11, 3, 16, 0, tzinfo=UTC)
    assert after["welcome/u-1/welcome"] == signed_up_at
    assert [(event.message, event.why) for event in _events(caused, DueMoved)] == [
        (weekly, "tzdata")
    ]
    versions = await desk.ask("SELECT step, tzdata FROM message ORDER BY step")
    assert {row.step: row.tzdata for row in versions} == {
        "welcome": "2025b",
        "payment-guide": "2026f",
        "course-1": "2026f",
    }


def _events(caused: Sequence[Caused], kind: type[E]) -> list[E]:
    return [each.event for each in caused if isinstance(each.event, kind)]
