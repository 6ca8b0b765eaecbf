"""How a hand-over ends, and what a message becomes by it (drills 3 to 6)."""

import asyncio
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.local.ports import reserve
from services.cadence.channels.signing import Dkim
from services.cadence.channels.writing import letter
from services.cadence.model.delivery import Next, RetryPolicy, State
from services.cadence.model.message import Message, Step
from services.cadence.store import messages
from tests.service.cadence.delivery.office import HOUSE, Office, now_of, provider, work
from tests.support.smtp import Act, MailServer, mail_server


async def test_a_due_message_is_handed_over_once_and_accepted(office: Office, mail: MailServer):
    address = await office.person(name="김하늘", locale="ko")
    identity = await office.plan()

    row = await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))

    (got,) = mail.got_by(address)
    assert got.sender == "bounces@acme.test"
    assert got.message_id.startswith("<occ.")
    assert got.message_id.endswith("@acme.test>")
    assert got.letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    body = got.letter.get_body(("plain",))
    assert body is not None
    assert "김하늘님" in body.get_content()
    assert (row.provider, row.attempt) == ("a", 1)
    assert await office.told() == ["delivery_handed_over", "delivery_accepted"]


@pytest.mark.parametrize(
    ("acts", "state", "tries", "letters"),
    [
        ((Act.CLOSING_AT_RCPT,), "accepted", 2, 1),
        ((Act.GREYLIST_AT_RCPT,), "accepted", 2, 1),
        ((Act.UNKNOWN_AT_RCPT,), "rejected", 1, 0),
        ((Act.REFUSE_DATA,), "accepted", 2, 1),
        ((Act.CLOSING_AFTER_DATA,), "accepted", 2, 2),
        ((Act.LATER_AFTER_DATA,), "accepted", 2, 2),
        ((Act.REFUSE_AFTER_DATA,), "rejected", 1, 1),
        ((Act.GREYLIST_AT_RCPT,) * 3, "rejected", 3, 0),
    ],
)
async def test_a_no_is_tried_again_only_where_it_may_become_a_yes(
    office: Office, mail: MailServer, acts: tuple[Act, ...], state: str, tries: int, letters: int
):
    address = await office.person()
    mail.will(address, *acts)
    identity = await office.plan()

    await work(office.handover(provider(mail.port)), office.until(identity, "accepted", "rejected"))

    assert (await office.state(identity)).state == state
    assert mail.tries.count(address) == tries
    assert len(mail.got_by(address)) == letters


@pytest.mark.parametrize("act", [Act.SILENT_AFTER_DATA, Act.HANG_UP_AFTER_DATA])
async def test_a_weekly_message_without_an_answer_is_uncertain_and_never_sent_again(
    office: Office, mail: MailServer, act: Act
):
    address = await office.person()
    mail.will(address, act)
    identity = await office.plan()

    handover = office.handover(provider(mail.port))
    row = await work(handover, office.until(identity, "uncertain"))
    await work(office.handover(provider(mail.port)), asyncio.sleep(0.5))

    assert row.reason == "no_answer_to_the_end"
    assert len(mail.got_by(address)) == 1
    assert (await office.state(identity)).state == "uncertain"
    assert await office.told() == ["delivery_handed_over", "delivery_uncertain"]


async def test_a_renewal_notice_without_an_answer_goes_again_with_the_same_bytes(
    office: Office, mail: MailServer
):
    address = await office.person()
    mail.will(address, Act.SILENT_AFTER_DATA)
    identity = await office.plan(
        purpose="renewal",
        template="renewal-notice",
        facts='{"renews_on": "2026-04-01"}',
        deadline_in=timedelta(days=1),
    )

    await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))

    first, second = mail.got_by(address)
    assert first.wire == second.wire
    assert first.letter["List-Unsubscribe"] is None


async def test_another_provider_is_asked_where_the_first_refuses_the_connection(
    office: Office, mail: MailServer
):
    closed = reserve()
    address = await office.person()
    identity = await office.plan()

    row = await work(
        office.handover(provider(closed.port, "a"), provider(mail.port, "b")),
        office.until(identity, "accepted"),
    )
    closed.release()

    assert row.provider == "b"
    assert len(mail.got_by(address)) == 1


async def test_no_other_provider_is_asked_where_the_first_is_silent_after_the_letter(
    office: Office, mail: MailServer
):
    address = await office.person()
    mail.will(address, Act.SILENT_AFTER_DATA)
    identity = await office.plan()

    with mail_server() as other:
        row = await work(
            office.handover(provider(mail.port, "a"), provider(other.port, "b")),
            office.until(identity, "uncertain"),
        )

        assert other.tries == []
    assert row.provider == "a"


async def test_of_two_workers_one_hands_each_message_over(office: Office, mail: MailServer):
    identities = []
    for number in range(60):
        await office.person(f"u-{number}")
        identities.append(await office.plan(f"u-{number}"))
    workers = [office.handover(provider(mail.port), claimed_at_once=7) for _ in range(2)]

    async def all_accepted() -> None:
        for identity in identities:
            await office.until(identity, "accepted")

    await work(workers[0], work(workers[1], all_accepted()))

    assert sorted(got.recipient for got in mail.got) == sorted(
        f"u-{number}@example.com" for number in range(60)
    )


async def test_a_worker_whose_lease_ran_out_before_the_letter_loses(
    office: Office, mail: MailServer
):
    address = await office.person()
    identity = await office.plan()
    now = await now_of(office)
    async with office.database.transaction() as tx:
        (stale,) = await messages.claim_due(tx, now=now, limit=1, lease=timedelta(seconds=-1))
    await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))

    async with office.database.transaction() as tx:
        handed = await messages.save_handed_over(
            tx,
            [Step(message=stale, next=Next(state=State.HANDED_OVER))],
            now=await now_of(office),
            lease=timedelta(minutes=1),
        )

    assert handed == set()
    assert len(mail.got_by(address)) == 1


async def test_a_message_that_takes_its_workers_with_it_is_given_up(
    office: Office, mail: MailServer
):
    await office.person()
    identity = await office.plan()
    await office.execute("UPDATE message SET attempt = 3")
    async with office.database.transaction() as tx:
        await messages.claim_due(tx, now=await now_of(office), limit=1, lease=timedelta(seconds=-1))

    row = await work(
        office.handover(provider(mail.port), most_attempts=4), office.until(identity, "rejected")
    )

    assert row.reason == "workers_lost"
    assert mail.tries == []


async def test_a_fault_of_ours_ends_one_message_and_no_other(
    office: Office, mail: MailServer, monkeypatch: pytest.MonkeyPatch
):
    def breaking(message: Message, *facts: Any, **options: Any) -> Any:
        if message.identity == "broken":
            raise ZeroDivisionError
        return letter(message, *facts, **options)

    monkeypatch.setattr("services.cadence.schedule.handover.letter", breaking)
    await office.person("u-2")
    healthy = await office.person()
    broken = await office.plan("u-2", identity="broken")
    identity = await office.plan()

    handover = office.handover(provider(mail.port))
    row = await work(handover, office.until(broken, "rejected"))
    await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))

    assert row.reason == "refused: fault"
    assert [got.recipient for got in mail.got] == [healthy]


async def test_a_signed_letter_still_verifies_behind_the_wire(office: Office, mail: MailServer):
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + b64encode(public)
    signing = replace(HOUSE, signer=Dkim("acme.test", "s1", key))
    await office.person(name="김하늘", locale="ko")
    identity = await office.plan()

    handover = office.handover(provider(mail.port), house=signing)
    await work(handover, office.until(identity, "accepted"))

    assert dkim.verify(mail.got[0].wire, dnsfunc=lambda *_, **__: record)


async def test_a_worker_that_is_asked_to_end_waits_for_the_answer_to_its_letter(
    office: Office, mail: MailServer
):
    address = await office.person()
    mail.will(address, Act.SLOW)
    identity = await office.plan()

    async def is_under_way() -> None:
        await office.until(identity, "handed_over")

    await work(office.handover(provider(mail.port)), is_under_way())

    assert (await office.state(identity)).state == "accepted"


async def test_a_provider_that_refuses_us_for_good_ends_no_message_for_good(
    office: Office, mail: MailServer
):
    mail.answer_to_senders = "550 5.7.1 you are not known here"
    await office.person()
    identity = await office.plan()

    with mail_server() as other:
        first = office.handover(provider(mail.port), retry=RetryPolicy())
        await first.turn()
        await first.finish(10)
        row = await office.until(identity, "planned")
        await office.execute("UPDATE message SET try_at = now()")
        both = office.handover(provider(mail.port, "a"), provider(other.port, "b"))
        taken = await work(both, office.until(identity, "accepted"))

    assert row.reason == "refused_for_now: 550"
    assert taken.provider == "b"
