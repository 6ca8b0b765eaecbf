"""The service was down: what is within the grace goes, newest only, the rest is said (drill 8)."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.service.cadence.delivery.office import now_of, provider, work
from tests.service.cadence.planning.desk import Desk, configured, signed_up
from tests.support.smtp import MailServer

PEOPLE = 48
GRACE = timedelta(hours=6)


@pytest.mark.parametrize("down_hours", [2, 10, 16 * 24])
async def test_who_comes_back_sends_what_is_in_time_and_no_burst(
    desk: Desk, mail: MailServer, down_hours: int
):
    """People whose hours lie half an hour apart, over the day before; a week of it was planned."""
    now = await now_of(desk)
    went_down = now - timedelta(hours=down_hours)
    hours = [now - timedelta(weeks=4, minutes=30 * number) for number in range(PEOPLE)]
    people = [f"u-{number}" for number in range(PEOPLE)]
    await desk.fold(
        configured(), *(signed_up(at, user=user) for at, user in zip(hours, people, strict=True))
    )
    await desk.plan_at(went_down)
    # What was due before went while the service was up; other programs are not looked at here.
    await desk.execute(
        "UPDATE message SET state = 'accepted', attempt = 1, handed_over_at = due_at,"
        " ended_at = due_at WHERE due_at < :went_down OR program <> 'weekly-course'",
        went_down=went_down,
    )
    back = await now_of(desk)
    await desk.everybody()
    await desk.plan_at(back)
    due = await desk.ask(
        "SELECT identity, user_id, due_at FROM message WHERE state = 'planned' AND due_at <= :back",
        back=back,
    )

    async def all_ended() -> None:
        for row in due:
            await desk.until(row.identity, "accepted", "missed", "superseded")

    await work(desk.handover(provider(mail.port)), all_ended())

    states = {row.identity: (await desk.state(row.identity)).state for row in due}
    in_time = {row.identity for row in due if back - row.due_at <= GRACE - timedelta(minutes=2)}
    late = {row.identity for row in due if back - row.due_at > GRACE}
    assert in_time
    assert bool(late) is (timedelta(hours=down_hours) > GRACE)
    assert {states[identity] for identity in in_time} == {"accepted"}
    assert {states[identity] for identity in late} <= {"missed", "superseded"}
    assert max(Counter(got.recipient for got in mail.got).values()) == 1
    assert len(mail.got) == sum(state == "accepted" for state in states.values())
