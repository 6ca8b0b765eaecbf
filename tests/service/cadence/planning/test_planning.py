"""From a sign-up to the messages of the next days, and from those to a letter."""

from datetime import timedelta

from shared.events.cadence import AnchorSet
from tests.service.cadence.delivery.office import now_of, provider, work
from tests.service.cadence.planning.desk import SIGNED_UP, Desk, configured, signed_up
from tests.support.smtp import MailServer

FIRST_WEEK = SIGNED_UP + timedelta(days=7)
WELCOME = "welcome/u-1/welcome"
WEEKLY = "weekly-course/u-1/2026-03-09"


async def test_a_sign_up_is_welcomed_at_once_and_written_to_at_its_hour_each_week(desk: Desk):
    await desk.fold(configured(), signed_up())

    caused = await desk.plan_at(SIGNED_UP + timedelta(seconds=2))

    assert await desk.messages() == [
        (WELCOME, "welcome", SIGNED_UP),
        ("payment-guide/u-1/payment-guide", "payment-guide", SIGNED_UP + timedelta(days=3)),
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
