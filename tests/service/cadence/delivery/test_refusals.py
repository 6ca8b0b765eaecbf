"""Who is not written to, and why; and people whose names and addresses mean harm (drill 17)."""

from datetime import timedelta
from typing import Any

import pytest

from services.cadence.model.caps import Caps
from services.cadence.model.eligibility import Attention
from services.cadence.model.quiet import QuietHours
from tests.service.cadence.delivery.office import WORKSPACE, Office, now_of, provider, work
from tests.support.smtp import MailServer

UNBOUNDED = Attention(caps=Caps(per_day=None, per_week=None, spacing=timedelta(0)))
ENDED = ("accepted", "rejected", "dropped", "missed", "superseded")


@pytest.mark.parametrize(
    ("person", "message", "state", "reason"),
    [
        ({"email": None}, {}, "dropped", "no_address"),
        ({"email": "a@b.com, evil@x.com"}, {}, "rejected", "refused: address_unusable"),
        ({"email": "a@b.com\r\nBcc: evil@x.com"}, {}, "rejected", "refused: address_unusable"),
        ({"email": f"{'a' * 300}@b.com"}, {}, "rejected", "refused: address_unusable"),
        ({"email": "a\x7f@b.com"}, {}, "rejected", "refused: address_unusable"),
        ({}, {"template": "nobody-wrote-it"}, "rejected", "refused: template_refused"),
        ({}, {"due_in": timedelta(hours=-6, seconds=-1)}, "missed", "missed_beyond_grace"),
        ({}, {"channels": ["webhook"]}, "dropped", "no_channel"),
    ],
)
async def test_a_message_that_must_not_go_ends_with_its_reason(
    office: Office,
    mail: MailServer,
    person: dict[str, Any],
    message: dict[str, Any],
    state: str,
    reason: str,
):
    await office.person(**person)
    identity = await office.plan(**message)
    healthy = await office.person("u-2")
    other = await office.plan("u-2")

    handover = office.handover(provider(mail.port))
    row = await work(handover, office.until(identity, *ENDED))
    await work(office.handover(provider(mail.port)), office.until(other, "accepted"))

    assert (row.state, row.reason) == (state, reason)
    assert [got.recipient for got in mail.got] == [healthy]


async def test_who_left_between_planning_and_hand_over_gets_nothing(
    office: Office, mail: MailServer
):
    now = await now_of(office)
    await office.person(churned_at=now - timedelta(minutes=1))
    await office.person("u-2", removed_at=now)
    identities = [await office.plan(), await office.plan("u-2"), await office.plan("u-3")]
    handover = office.handover(provider(mail.port))

    await work(handover, office.until(identities[2], "dropped"))

    reasons = [(await office.state(identity)).reason for identity in identities]
    assert reasons == ["churned", "removed", "person_unknown"]
    assert mail.got == []


async def test_of_two_that_are_late_the_newest_wins_and_is_named(office: Office, mail: MailServer):
    await office.person()
    old = await office.plan(due_in=timedelta(days=-7))
    new = await office.plan(identity="weekly-course/u-1/2026-03-09")

    await work(office.handover(provider(mail.port)), office.until(new, "accepted"))

    row = await office.state(old)
    assert (row.state, row.winner) == ("superseded", new)
    assert len(mail.got) == 1


async def test_a_deadline_stands_in_for_the_grace(office: Office, mail: MailServer):
    await office.person()
    renewal = {"purpose": "renewal", "template": "renewal-notice"}
    facts = '{"renews_on": "2026-04-01"}'
    before = await office.plan(
        identity="renewal/u-1/c-1", due_in=timedelta(days=-9), deadline_in=timedelta(hours=1),
        facts=facts, **renewal,
    )  # fmt: skip
    after = await office.plan(
        identity="renewal-2/u-1/c-2", program="renewal-2", due_in=timedelta(days=-9),
        deadline_in=timedelta(seconds=-1), facts=facts, **renewal,
    )  # fmt: skip

    handover = office.handover(provider(mail.port))
    await work(handover, office.until(before, "accepted"))

    assert (await office.state(after)).state == "missed"


async def test_who_left_a_topic_gets_its_notices_and_other_topics_still(
    office: Office, mail: MailServer
):
    await office.person()
    await office.execute(
        "INSERT INTO consent VALUES (:workspace, 'u-1', 'newsletter', false, now())",
        workspace=WORKSPACE,
    )
    newsletter = await office.plan(
        identity="newsletter/u-1/1", topic="newsletter", purpose="newsletter"
    )
    course = await office.plan()
    renewal = await office.plan(
        identity="renewal/u-1/c", topic="newsletter", purpose="renewal", template="renewal-notice",
        facts='{"renews_on": "2026-04-01"}',
    )  # fmt: skip

    async def all_ended() -> None:
        for identity in (newsletter, course, renewal):
            await office.until(identity, *ENDED)

    await work(office.handover(provider(mail.port), attention=UNBOUNDED), all_ended())

    states = [(await office.state(each)).state for each in (newsletter, course, renewal)]
    assert states == ["dropped", "accepted", "accepted"]


@pytest.mark.parametrize(
    "name",
    [
        "Kim\r\nBcc: evil@example.com",
        "Kim\x00\x1b[31m",
        '"Kim" <evil@example.com>, other@example.com',
        "<script>alert(1)</script>{{ person.id }}{% raw %}",
        "\u202eevil\u2066",
        "김" * 5_000,
    ],
)
async def test_no_name_can_add_a_header_a_recipient_or_a_tag(
    office: Office, mail: MailServer, name: str
):
    # PostgreSQL keeps no NUL; every other character comes as it was sent.
    address = await office.person(name=name.replace("\x00", ""))
    identity = await office.plan(template="welcome", facts="{}")

    await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))

    (got,) = mail.got
    body = got.letter.get_body(("html",))
    assert body is not None
    assert got.recipient == address
    assert got.letter["Bcc"] is None
    assert [str(mailbox.addr_spec) for mailbox in got.letter["To"].addresses] == [address]
    assert "<script" not in body.get_content()


async def test_an_address_of_an_international_domain_is_written_to_in_ascii(
    office: Office, mail: MailServer
):
    await office.person(email="kim@bücher.example")
    identity = await office.plan()

    await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))

    assert [got.recipient for got in mail.got] == ["kim@xn--bcher-kva.example"]


async def test_a_message_lies_in_the_inbox_once(office: Office, mail: MailServer):
    await office.person(channels=["in_app", "email"])
    identity = await office.plan(channels=["email", "in_app"])

    row = await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))

    (item,) = await office.ask("SELECT title, body_text FROM inbox_item")
    assert row.channel == "in_app"
    assert item.title == "Invite the people you work with"
    assert mail.got == []


async def test_messages_to_one_domain_keep_its_rate(office: Office, mail: MailServer):
    identities = []
    for number in range(12):
        await office.person(f"u-{number}")
        identities.append(await office.plan(f"u-{number}"))
    handover = office.handover(provider(mail.port), domain_per_second=4.0)

    await handover.turn()
    await handover.finish(10)

    assert len(mail.got) == 4
    planned = await office.ask("SELECT 1 FROM message WHERE state = 'planned' AND attempt = 0")
    assert len(planned) == 8


async def test_under_a_cap_the_better_rank_goes_and_the_loser_names_it(
    office: Office, mail: MailServer
):
    await office.person()
    newsletter = await office.plan(
        identity="newsletter/u-1/1", program="newsletter", topic="newsletter", purpose="newsletter"
    )
    course = await office.plan()

    await work(office.handover(provider(mail.port)), office.until(newsletter, *ENDED))
    await work(office.handover(provider(mail.port)), office.until(course, *ENDED))

    lost, won = await office.state(newsletter), await office.state(course)
    assert (won.state, lost.state) == ("accepted", "dropped")
    assert (lost.reason, lost.winner) == ("cap_spacing", course)
    assert len(mail.got) == 1


async def test_a_message_that_keeps_until_later_waits_for_room(office: Office, mail: MailServer):
    await office.person()
    course = await office.plan()
    survey = await office.plan(
        identity="nps/u-1/w-1", program="nps", purpose="nps", template="nps-invitation",
        deadline_in=timedelta(days=10), facts='{"invitation_url": "https://acme.test/s/1"}',
    )  # fmt: skip

    await work(office.handover(provider(mail.port)), office.until(course, "accepted"))
    row = await office.state(survey)

    assert (row.state, row.reason, row.winner) == ("planned", "cap_spacing", course)
    assert row.try_at > row.due_at + timedelta(hours=12)
    assert row.attempt == 0


async def test_a_notice_with_a_deadline_is_never_held_back(office: Office, mail: MailServer):
    await office.person()
    course = await office.plan()
    await work(office.handover(provider(mail.port)), office.until(course, "accepted"))

    renewal = await office.plan(
        identity="renewal/u-1/c", program="renewal", purpose="renewal", template="renewal-notice",
        facts='{"renews_on": "2026-04-01"}',
    )  # fmt: skip
    await work(office.handover(provider(mail.port)), office.until(renewal, "accepted"))

    assert len(mail.got) == 2


async def test_slack_waits_for_the_end_of_the_quiet_hours_and_mail_does_not(
    office: Office, mail: MailServer
):
    now = await now_of(office)
    begins = now - timedelta(hours=1)
    ends = now + timedelta(hours=1)
    always = Attention(quiet=QuietHours(begins.time(), ends.time()))
    await office.person()
    await office.person("u-2")
    await office.execute(
        "INSERT INTO channel_target VALUES (:workspace, 'slack', 'https://hooks.acme.test/x')",
        workspace=WORKSPACE,
    )
    slack = await office.plan(channels=["slack"])
    course = await office.plan("u-2")

    handover = office.handover(provider(mail.port), attention=always)
    await work(handover, office.until(course, "accepted"))

    row = await office.state(slack)
    assert (row.state, row.reason) == ("planned", "quiet_hours")
    assert abs(row.try_at - ends) < timedelta(seconds=1)


async def test_what_is_too_late_uses_up_nothing_of_the_rate(office: Office, mail: MailServer):
    for number in range(20):
        await office.person(f"u-{number}")
        await office.plan(f"u-{number}", due_in=timedelta(hours=-10))
    fresh = [await office.plan(f"u-{n}", identity=f"fresh/u-{n}", program="x") for n in range(8)]
    handover = office.handover(provider(mail.port), per_second=5.0, claimed_at_once=5)

    for _ in range(5):
        await handover.turn()
    await handover.finish(10)

    states = [(await office.state(identity)).state for identity in fresh]
    assert len(await office.ask("SELECT 1 FROM message WHERE state = 'missed'")) == 20
    assert states.count("accepted") == 5
    assert len(mail.got) == 5
