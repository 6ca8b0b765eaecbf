"""Waves from their opening to their close, and answers of other systems."""

from decimal import Decimal
from typing import Any

from shared.events.cadence import DeliveryHandedOver
from shared.events.ingest import AccountUpserted, UserConsentChanged, UserIdentified, UserRemoved
from shared.events.metrics import MovementRecorded
from tests.service.nps.desk import NOW, Desk, later
from tests.unit.health.builders import received


async def people(desk: Desk) -> None:
    old, young = "2025-06-01T00:00", "2026-02-01T00:00"
    await desk.apply(
        *[
            received(UserIdentified(user=user), at, account="acme")
            for user, at in (("old", old), ("young", young), ("quiet", old), ("gone", old))
        ],
        received(UserConsentChanged(user="quiet", about="nps", granted=False), "2026-01-01"),
        received(UserRemoved(user="gone"), "2026-01-01"),
    )


async def make(desk: Desk, wave: str = "q1", **fields: Any) -> Any:
    told = {"wave": wave, "closes_at": later(days=14).isoformat(), **fields}
    answer = await desk.ask("POST", "/waves", json=told)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_wave_decides_about_everybody_with_a_reason(desk: Desk):
    await people(desk)

    made = await make(desk)

    assert made["state"] == "open"
    members = (await desk.get("/waves/q1/members"))["items"]
    assert {each["user"]: each["decision"] for each in members} == {
        "old": "ask",
        "young": "too_young",
        "quiet": "opted_out",
        "gone": "churned",
    }
    assert all(each["reason"] for each in members)
    (told,) = await desk.outbox("nps.wave_opened.v1")
    assert told["population"] == 4


async def test_who_may_be_asked_is_asked_once_and_reminded_at_most_twice(desk: Desk):
    await people(desk)
    await make(desk, reminders=2, reminder_after_days=2)
    await desk.run("ask_people", NOW)
    await desk.run("ask_people", NOW)
    (asked,) = await desk.outbox("nps.invitation_requested.v1")
    await desk.apply(received(handed_over(asked["invitation"]), NOW))

    for day in range(1, 13):
        await desk.run("remind_people", later(days=day))

    told = await desk.outbox("nps.invitation_requested.v1")
    assert [each["kind"] for each in told] == ["invitation", "reminder", "reminder"]
    assert len(await desk.outbox("nps.invited.v1")) == 1


def handed_over(invitation: str) -> DeliveryHandedOver:
    return DeliveryHandedOver(
        message="nps/old/1",
        user="old",
        program="nps",
        step="invitation",
        template="nps_invitation",
        channel="email",
        pillar="support",
        purpose="nps",
        at=NOW,
        due_at=NOW,
        invitation=invitation,
    )


async def test_wave_after_an_invitation_finds_the_person_in_quarantine(desk: Desk):
    await people(desk)
    await make(desk)
    await desk.run("ask_people", NOW)
    (asked,) = await desk.outbox("nps.invitation_requested.v1")
    await desk.apply(received(handed_over(asked["invitation"]), NOW))

    made = await make(desk, "q2")

    assert made["population"]["quarantine"] == 1


async def test_wave_closes_at_its_end_with_its_score(desk: Desk):
    await make(desk)
    token = await desk.invite("u-1", wave="q1")
    await desk.say(token, 9)

    await desk.run("close_waves", later(days=14))

    assert (await desk.get("/waves/q1"))["state"] == "closed"
    (told,) = await desk.outbox("nps.wave_closed.v1")
    assert (told["counts"]["promoter"], told["nps"]) == (1, 100.0)
    assert await desk.say(token, 0) == 410


async def test_anonymous_wave_hides_fewer_than_five_answers(desk: Desk):
    await make(desk, anonymous=True)
    for number in range(4):
        await desk.say(await desk.invite(f"u-{number}", account="acme", wave="q1"), 9)

    hidden = await desk.get("/waves/q1")
    await desk.say(await desk.invite("u-4", account="acme", wave="q1"), 9)
    shown = await desk.get("/waves/q1")

    assert (hidden["hidden"], hidden["counts"], hidden["answered"]) == (True, None, 0)
    assert (shown["hidden"], shown["counts"]["promoter"]) == (False, 5)
    assert {each["user"] for each in (await desk.get("/responses"))["items"]} == {None}
    assert (await desk.get("/responses", user="u-1"))["items"] == []


def said(user: str, wave: str, score: object, at: str, **fields: Any) -> dict[str, Any]:
    return {"user": user, "account": f"of {user}", "wave": wave, "score": score, "at": at, **fields}


async def bring(desk: Desk, *responses: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await desk.ask("POST", "/responses/import", json={"responses": list(responses)})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


async def test_import_refuses_what_is_no_score_and_takes_the_rest(desk: Desk):
    at = "2026-01-05T09:00:00Z"

    results = await bring(
        desk, *[said("u", "w", s, at) for s in (-1, 11, 7.5, None, "7 ", True, 7)]
    )

    assert [each["code"] for each in results[:-1]] == ["invalid_score"] * 6
    assert results[-1]["status"] == "accepted"


async def test_second_import_changes_nothing(desk: Desk):
    answers = [
        said("u-1", "a", 7, "2026-01-05T09:00:00Z"),
        said("u-2", "a", 9, "2026-01-05T10:00Z"),
    ]
    await bring(desk, *answers)

    await bring(desk, *answers)

    assert (await desk.get("/rollups"))["respondent"]["n"] == 2
    assert len(await desk.outbox("nps.answered.v1")) == 2


async def test_transitions_follow_the_waves_by_their_first_answers(desk: Desk):
    await bring(
        desk,
        said("u-1", "second", 9, "2026-02-05T09:00:00Z"),
        said("u-1", "first", 7, "2026-01-05T09:00:00Z"),
        said("u-2", "first", 8, "2026-01-06T09:00:00Z"),
        said("u-2", "third", 10, "2026-03-01T09:00:00Z"),
        said("u-3", "first", 3, "2026-01-06T09:00:00Z"),
    )

    found = await desk.get("/transitions")

    assert found["matrix"]["passive"]["promoter"] == 2
    assert found["adjacent_only"]["matrix"]["passive"]["promoter"] == 1
    assert found["no_next_answer"] == {"promoter": 1, "passive": 0, "detractor": 1}


async def test_rollup_weighs_accounts_by_the_mrr_of_the_ledger(desk: Desk):
    await desk.apply(
        received(AccountUpserted(name="Silent"), "2026-01-01", account="silent"),
        *[
            received(
                MovementRecorded(
                    movement=f"{account}/1",
                    at=NOW,
                    kind="new",
                    amount=Decimal(mrr),
                    mrr=Decimal(mrr),
                    facts=[],
                    policy_version=1,
                ),
                NOW,
                account=account,
            )
            for account, mrr in (("of u-1", "300"), ("of u-2", "100"), ("silent", "100"))
        ],
    )
    await bring(
        desk,
        said("u-1", "a", 9, "2026-01-05T09:00:00Z"),
        said("u-2", "a", 3, "2026-01-05T09:00:00Z"),
    )

    found = await desk.get("/rollups", wave="a")

    assert found["account_mean"] == 0
    assert found["mrr_weighted"] == 50
    assert found["coverage_mrr"] == 0.8
    assert [each["account"] for each in found["per_account"]] == ["of u-1", "of u-2", "silent"]
