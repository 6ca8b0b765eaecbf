"""Programs of a workspace's own beside those that are shipped, and zones that never rest."""

from datetime import datetime, timedelta
from itertools import cycle, pairwise

import msgspec

from services.cadence.model.defaults import WEEKLY_COURSE
from services.cadence.model.programs import (
    Channel,
    Comparison,
    Condition,
    Entry,
    Pillar,
    Program,
    Rhythm,
    Step,
    Variant,
)
from services.cadence.model.stages import Stage
from shared.events.ingest import UserIdentified
from tests.service.cadence.delivery.office import WORKSPACE
from tests.service.cadence.planning.desk import SIGNED_UP, Desk, configured, signed_up, told

SOON_AFTER = SIGNED_UP + timedelta(seconds=2)
SPACING = timedelta(hours=84)
OWN = Program(
    id="first-days",
    name="First days",
    pillar=Pillar.ONBOARDING,
    purpose=WEEKLY_COURSE.purpose,
    topic="onboarding",
    stages=(Stage.PROSPECT,),
    entry=Entry(
        event="user.identified.v1",
        when=Condition(every=(Comparison(fact="role", value="admin"),)),
    ),
    steps=(
        Step(
            id="day-2",
            template="welcome",
            rhythm=Rhythm.AFTER,
            wait=timedelta(days=2, hours=1),
            channels=(Channel.IN_APP, Channel.EMAIL),
            variants=(Variant(id="a", template="welcome"), Variant(id="b", template="course-1")),
        ),
    ),
)


async def offer(
    desk: Desk, program: Program, *, live: bool, at: datetime, version: int = 1
) -> None:
    """Let the workspace have a program of its own."""
    await desk.execute(
        "INSERT INTO program (workspace, program, version, definition, live, at, by)"
        " VALUES (:workspace, :program, :version, CAST(:definition AS jsonb), :live, :at, 'kim')",
        workspace=WORKSPACE,
        program=program.id,
        version=version,
        definition=msgspec.json.encode(program).decode(),
        live=live,
        at=at,
    )


async def test_a_program_of_ones_own_is_entered_from_the_day_on_that_it_is_live(desk: Desk):
    await offer(desk, OWN, live=True, at=SIGNED_UP)
    before = SIGNED_UP - timedelta(hours=1)
    await desk.fold(
        configured(),
        signed_up(role="admin"),
        signed_up(user="u-2"),
        signed_up(before, user="u-3", role="admin"),
    )
    await desk.plan_at(SOON_AFTER)

    found = await desk.ask(
        "SELECT user_id, due_at, channels, variant FROM message WHERE program = 'first-days'"
    )
    assert [(row.user_id, row.due_at) for row in found] == [
        ("u-1", SIGNED_UP + timedelta(days=2, hours=1))
    ]
    assert found[0].channels == ["in_app", "email"]
    assert found[0].variant in {"a", "b"}


async def test_a_program_that_is_switched_off_takes_back_what_is_not_yet_sent(desk: Desk):
    await desk.fold(configured(), signed_up())
    await desk.plan_at(SOON_AFTER)
    assert "weekly-course/u-1/2026-03-09" in await desk.identities()

    await offer(desk, WEEKLY_COURSE, live=False, at=SOON_AFTER, version=2)
    await desk.everybody()
    await desk.plan_at(SOON_AFTER)

    assert await desk.identities() == ["welcome/u-1/welcome", "payment-guide/u-1/payment-guide"]
    (decided,) = await desk.ask(
        "SELECT count(*) AS n FROM decision WHERE outcome = 'taken_back'"
        " AND identity = 'weekly-course/u-1/2026-03-09'"
    )
    assert decided.n == 1


async def test_a_zone_that_flaps_fifty_times_a_day_sends_nothing_too_close(desk: Desk):
    await desk.fold(configured(), signed_up())
    zones = cycle(("America/Los_Angeles", "Asia/Seoul", "Pacific/Kiritimati"))
    sent: list[datetime] = []
    # The days around each of its hours.
    flaps = [
        SIGNED_UP + timedelta(days=day, minutes=29 * number)
        for day in (6, 7, 13, 14)
        for number in range(50)
    ]
    for now in flaps:
        await desk.fold(told(UserIdentified(user="u-1", time_zone=next(zones)), now))
        await desk.everybody()
        await desk.plan_at(now)
        due = await desk.ask(
            "SELECT identity FROM message WHERE program = 'weekly-course' AND state = 'planned'"
            " AND due_at <= :now AND due_at > :late",
            now=now,
            late=now - timedelta(hours=6),
        )
        for row in due:
            await desk.end(row.identity)
            sent.append(now)

    assert len(sent) == 2
    assert all(after - before >= SPACING for before, after in pairwise(sent)), sent
