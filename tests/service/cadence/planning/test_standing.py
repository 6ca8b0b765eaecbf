"""Who is written to and who is not: members, churn, consent, pauses, and what surveys ask for."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from shared.events.base import Received
from shared.events.cadence import ConsentChanged, StageChanged
from shared.events.ingest import UsageTracked, UserConsentChanged, UserRemoved
from shared.events.metrics import (
    Ended,
    FirstPaymentSucceeded,
    MovementRecorded,
    RenewalDue,
    Renewed,
)
from shared.events.nps import ClassChanged, InvitationRequested, ThemeAssigned
from tests.service.cadence.delivery.office import WORKSPACE, now_of, provider, work
from tests.service.cadence.planning.desk import SIGNED_UP, Desk, configured, member, signed_up, told
from tests.support.smtp import MailServer

SEOUL = ZoneInfo("Asia/Seoul")
SOON_AFTER = SIGNED_UP + timedelta(seconds=2)
LATER = SIGNED_UP + timedelta(days=2)
WELCOME = "welcome/u-1/welcome"


def moved(kind: str, mrr: str, at: datetime = LATER, *, account: str = "a-1") -> Received[Any]:
    """A movement of an account's revenue."""
    movement = MovementRecorded(
        movement=f"{account}/{at.isoformat()}",
        at=at,
        kind=kind,
        amount=Decimal(mrr),
        mrr=Decimal(mrr),
        facts=["f-1"],
        policy_version=1,
    )
    return told(movement, at, account=account)


async def test_a_person_in_three_accounts_gets_one_mail(desk: Desk, mail: MailServer):
    """Drill 15."""
    now = await now_of(desk)
    await desk.fold(
        configured(),
        *(signed_up(now, account=f"a-{number}") for number in (1, 2, 3)),
        *(told(_first_paid(now), now, account=f"a-{number}") for number in (1, 2, 3)),
    )
    await desk.plan_at(now)

    await work(desk.handover(provider(mail.port)), desk.until(WELCOME, "accepted"))

    assert len(mail.got_by("u-1@example.com")) == 1
    assert sorted(await desk.identities()) == [
        "payment-guide/u-1/payment-guide",
        "usage-guide/u-1/usage-guide",
        f"weekly-course/u-1/{(now + timedelta(days=7)).astimezone(SEOUL).date()}",
        WELCOME,
    ]


async def test_nobody_of_an_account_that_left_is_written_to_until_it_is_back(desk: Desk):
    await desk.fold(configured(), signed_up(), moved("new", "5000", SIGNED_UP))
    await desk.plan_at(SOON_AFTER)
    assert any("weekly-course" in identity for identity in await desk.identities())

    await desk.fold(moved("churn", "0"))
    await desk.plan_at(LATER)
    assert not any("weekly-course" in identity for identity in await desk.identities())

    # The course has ended with the account; what asks for its stage anew is another program's.
    (row,) = await desk.ask("SELECT churned_at FROM person")
    assert row.churned_at == LATER
    await desk.fold(moved("reactivation", "5000", LATER + timedelta(days=1)))
    (row,) = await desk.ask("SELECT churned_at FROM person")
    assert row.churned_at is None


async def test_a_person_goes_on_in_another_account_when_one_has_left(desk: Desk):
    await desk.fold(configured(), signed_up(), member("a-2", SIGNED_UP + timedelta(hours=1)))
    await desk.fold(moved("new", "5000", SIGNED_UP), moved("churn", "0"))

    (row,) = await desk.ask("SELECT account, churned_at FROM person")
    assert (row.account, row.churned_at) == ("a-2", None)
    await desk.fold(moved("churn", "0", LATER + timedelta(days=1), account="a-2"))
    (row,) = await desk.ask("SELECT churned_at FROM person")
    assert row.churned_at == LATER + timedelta(days=1)


async def test_a_contract_that_ended_is_as_if_the_account_had_left(desk: Desk):
    said: dict[str, Any] = {
        "contract": "c-1",
        "on": LATER.date(),
        "auto_renew": False,
        "mrr": Decimal(0),
    }
    await desk.fold(signed_up(), told(Ended(**said), LATER))
    (row,) = await desk.ask("SELECT churned_at FROM person")
    assert row.churned_at == LATER

    await desk.fold(told(Renewed(**said), LATER + timedelta(hours=1)))
    (row,) = await desk.ask("SELECT churned_at FROM person")
    assert row.churned_at is None


async def test_who_is_no_seat_any_more_is_removed_until_named_again(desk: Desk):
    await desk.fold(signed_up(), told(UserRemoved(user="u-1"), LATER))
    (row,) = await desk.ask("SELECT removed_at FROM person")
    assert row.removed_at == LATER

    await desk.fold(member("a-1", LATER - timedelta(hours=1)))
    (row,) = await desk.ask("SELECT removed_at FROM person")
    assert row.removed_at == LATER

    await desk.fold(member("a-1", LATER + timedelta(hours=1)))
    (row,) = await desk.ask("SELECT removed_at FROM person")
    assert row.removed_at is None


async def test_an_account_changes_its_stage_once_for_each_reason(desk: Desk):
    caused = await desk.fold(
        member("a-1", SIGNED_UP, lifecycle_stage="handoff"),
        moved("new", "5000", LATER),
        moved("expansion", "9000", LATER + timedelta(days=1)),
        moved("churn", "0", LATER + timedelta(days=2)),
        moved("reactivation", "5000", LATER + timedelta(days=3)),
    )

    stages = [each.event for each in caused if isinstance(each.event, StageChanged)]
    assert [(stage.from_, stage.to, stage.because) for stage in stages] == [
        ("prospect", "handoff", "seed"),
        ("handoff", "implementation", "paying"),
        ("implementation", "churned", "churned"),
        ("churned", "adoption", "reactivated"),
    ]


async def test_the_newest_word_on_consent_stands_and_is_told_once(desk: Desk):
    said = [
        told(UserConsentChanged(user="u-1", about="newsletter", granted=granted), at)
        for granted, at in ((True, LATER), (False, SIGNED_UP), (True, SIGNED_UP))
    ]
    first = await desk.fold(said[1])
    await desk.fold(said[2])
    second = await desk.fold(said[0])
    again = await desk.fold(*said)

    assert [_consents(each) for each in (first, second, again)] == [
        [("newsletter", False)],
        [("newsletter", True)],
        [],
    ]


async def test_who_opted_out_of_mail_is_not_written_to(desk: Desk):
    caused = await desk.fold(signed_up(email_opt_out=True))

    assert _consents(caused) == [("all", False)]


async def test_a_survey_is_sent_once_as_it_asks_and_told_by_its_invitation(
    desk: Desk, mail: MailServer
):
    now = await now_of(desk)
    request = InvitationRequested(
        invitation="i-9",
        user="u-1",
        wave="2026-q1",
        kind="invitation",
        url="https://nps.example/s/token",
        template="nps_invitation",
        closes_at=now + timedelta(days=9),
    )
    asked = told(request, now)
    await desk.fold(configured(), signed_up(SIGNED_UP), asked)
    await desk.fold(asked)
    await desk.plan_at(now)
    identity = "nps:i-9/u-1/invitation"

    await work(desk.handover(provider(mail.port)), desk.until(identity, "accepted"))

    # The survey's own page, by no way round: its hits are answers.
    (got,) = mail.got
    body = got.letter.get_body(("html",))
    assert body is not None
    assert 'href="https://nps.example/s/token"' in body.get_content()
    told_of = await desk.ask(
        "SELECT convert_from(payload, 'UTF8')::jsonb AS event FROM outbox ORDER BY id"
    )
    invitations = {
        row.event["type"]: row.event["data"].get("invitation")
        for row in told_of
        if row.event["data"].get("program") == "nps"
    }
    assert invitations == {
        "cadence.delivery_handed_over.v1": "i-9",
        "cadence.delivery_accepted.v1": "i-9",
    }


async def test_who_uses_the_feature_by_now_is_not_told_of_it(desk: Desk):
    theme = ThemeAssigned(
        invitation="i-1", theme="unaware_of_feature", feature="exports", by="rule", user="u-1"
    )
    identity = "unknown-feature:exports/u-1/announcement"
    await desk.fold(configured(), signed_up(), told(theme, LATER))
    await desk.plan_at(LATER)
    assert identity in await desk.identities()

    used = UsageTracked(user="u-1", event="Export", feature="exports")
    await desk.fold(told(used, LATER))
    await desk.plan_at(LATER)

    assert identity not in await desk.identities()
    (journey,) = await desk.ask(
        "SELECT state, reason FROM journey WHERE program = 'unknown-feature'"
    )
    assert tuple(journey) == ("ended", "left")


async def test_what_is_said_again_plans_nobody_anew(desk: Desk):
    await desk.fold(configured(), signed_up(), member("a-1", SIGNED_UP, plan="team"))
    await desk.plan_at(LATER)
    await desk.execute("UPDATE planning SET plan_at = 'infinity'")

    await desk.fold(signed_up(LATER), member("a-1", LATER, plan="team"))
    (same,) = await desk.ask("SELECT plan_at = 'infinity' AS waits FROM planning")
    await desk.fold(member("a-1", LATER + timedelta(hours=1), plan="business"))
    (other,) = await desk.ask("SELECT plan_at = 'infinity' AS waits FROM planning")

    assert (same.waits, other.waits) == (True, False)


async def test_a_class_that_changed_is_followed_up_a_day_later(desk: Desk):
    changed = ClassChanged(user="u-1", from_class="promoter", to_class="passive")
    await desk.fold(configured(), signed_up(), told(changed, LATER))
    await desk.plan_at(LATER)

    due = {identity: at for identity, _, at in await desk.messages()}
    assert due[f"nps-passive:passive@{LATER.date()}/u-1/nps-passive"] == LATER + timedelta(days=1)


async def test_a_renewal_is_told_to_those_who_decide_until_its_day(desk: Desk):
    renewal = RenewalDue(
        contract="c-1",
        on=(LATER + timedelta(days=12)).date(),
        auto_renew=True,
        mrr=Decimal(5000),
        days_left=12,
    )
    await desk.fold(
        configured(), signed_up(role="admin"), signed_up(user="u-2"), told(renewal, LATER)
    )
    await desk.plan_at(LATER)

    found = await desk.ask(
        "SELECT user_id, step, deadline FROM message WHERE program = 'renewal-notice'"
        " ORDER BY due_at"
    )
    assert [(row.user_id, row.step) for row in found] == [
        ("u-1", "renewal-notice"),
        ("u-1", "renewal-reminder"),
    ]
    # The end of that day in Seoul.
    assert found[0].deadline == datetime(2026, 3, 15, 15, 0, tzinfo=UTC)
    refused = await desk.ask(
        "SELECT user_id, reason FROM journey WHERE program = 'renewal-notice' AND state = 'refused'"
    )
    assert [(row.user_id, row.reason) for row in refused] == [("u-2", "condition")]


async def test_a_pause_drops_what_falls_into_it_and_says_so(desk: Desk, mail: MailServer):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now))
    await desk.plan_at(now)
    await desk.execute(
        "INSERT INTO pause (workspace, starts_at, ends_at, by)"
        " VALUES (:workspace, now() - interval '1 hour', now() + interval '1 hour', 'kim')",
        workspace=WORKSPACE,
    )

    row = await work(desk.handover(provider(mail.port)), desk.until(WELCOME, "dropped"))

    assert row.reason == "paused"
    assert not mail.got
    decided = await desk.ask(
        "SELECT outcome, reason FROM decision WHERE identity = :identity ORDER BY number",
        identity=WELCOME,
    )
    assert [tuple(each) for each in decided] == [("planned", None), ("dropped", "paused")]


async def test_a_message_gives_way_to_a_better_one_of_the_same_hour(desk: Desk, mail: MailServer):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now))
    await desk.plan_at(now)
    await desk.plan("u-1", identity="request-done:r/u-1/request-changed", purpose="notice",
                    topic="notice", template="welcome", program="request-done")  # fmt: skip

    await work(
        desk.handover(provider(mail.port)),
        desk.until("request-done:r/u-1/request-changed", "accepted"),
    )

    row = await desk.state(WELCOME)
    assert (row.state, row.reason) == ("dropped", "cap_spacing")
    assert row.winner == "request-done:r/u-1/request-changed"
    (decided,) = await desk.ask(
        "SELECT reason, winner FROM decision WHERE identity = :identity AND outcome = 'dropped'",
        identity=WELCOME,
    )
    assert tuple(decided) == (row.reason, row.winner)


async def test_a_late_sign_up_gets_no_burst(desk: Desk):
    await desk.fold(configured(), signed_up(known_after=timedelta(days=30)))

    await desk.plan_at(SIGNED_UP + timedelta(days=30))

    now = SIGNED_UP + timedelta(days=30)
    weekly = [each for each in await desk.messages() if each[0].startswith("weekly-course")]
    assert [(step, due > now) for _, step, due in weekly] == [("course-1", True)]


def _first_paid(at: datetime) -> FirstPaymentSucceeded:
    return FirstPaymentSucceeded(at=at, amount=Decimal(5000), currency="EUR")


def _consents(caused: list[Any]) -> list[tuple[str, bool]]:
    return [
        (each.event.about, each.event.granted)
        for each in caused
        if isinstance(each.event, ConsentChanged)
    ]
