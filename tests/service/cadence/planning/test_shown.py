"""What a person is to get, and why something went or did not, at the service's own door."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.cadence.api import router
from services.cadence.handlers import LANES
from services.cadence.settings import CadenceSettings
from shared.auth import hashed, save_key
from shared.events.ingest import KeyIssued
from shared.service import Service, app_of
from tests.service.cadence.delivery.office import WORKSPACE, now_of, provider, work
from tests.service.cadence.planning.desk import SIGNED_UP, Desk, configured, signed_up
from tests.support.smtp import MailServer

WELCOME = "welcome/u-1/welcome"


@pytest.fixture
async def door(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The service's door, with a key of this workspace and one of another."""
    async with desk.database.transaction() as tx:
        for workspace in (WORKSPACE, "other"):
            issued = KeyIssued(
                key_id=workspace,
                prefix="k",
                sha256=hashed(f"secret {workspace}"),
                scopes=["manage"],
                source="x",
            )
            await save_key(tx, workspace, issued, issued_at=SIGNED_UP)
    app = app_of(
        Service(
            name="cadence",
            description="",
            settings=CadenceSettings(
                DATABASE_URL_CADENCE="postgresql://unused/unused", secrets="secret-of-tests-1"
            ),
            routers=(router,),
            database=desk.database,
            lanes=LANES,
        )
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://cadence"
    ) as client:
        yield client


async def ask(door: httpx.AsyncClient, path: str, *, of: str = WORKSPACE) -> httpx.Response:
    """Ask with the key of a workspace."""
    return await door.get(f"/v1{path}", headers={"authorization": f"Bearer secret {of}"})


async def test_the_next_weeks_are_shown_as_they_would_be_planned(
    desk: Desk, door: httpx.AsyncClient
):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now, user="u/1"))

    answer = (await ask(door, "/users/u%2F1/schedule?weeks=8")).json()

    assert answer["anchor"]["zone"] == "Asia/Seoul"
    steps = [item["step"] for item in answer["items"]]
    assert steps == ["welcome", "payment-guide", *(f"course-{number}" for number in range(1, 7))]
    await desk.plan_at(now)
    planned = {identity for identity, _, _ in await desk.messages()}
    assert planned == {item["message"] for item in answer["items"][:3]}
    again = (await ask(door, "/users/u%2F1/schedule?weeks=8")).json()
    assert again["items"] == answer["items"]


async def test_nobody_is_shown_to_another_workspace(desk: Desk, door: httpx.AsyncClient):
    await desk.fold(configured(), signed_up())
    await desk.plan_at(SIGNED_UP)

    assert (await ask(door, "/users/u-1/schedule", of="other")).status_code == 404
    assert (await ask(door, f"/messages/{WELCOME}", of="other")).status_code == 404
    for path in ("/users/u-1/decisions", "/deliveries"):
        assert (await ask(door, path, of="other")).json()["items"] == []


async def test_a_decision_names_its_rules_and_the_newest_is_first(
    desk: Desk, door: httpx.AsyncClient, mail: MailServer
):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now, email_opt_out=True))
    await desk.plan_at(now)
    await work(desk.handover(provider(mail.port)), desk.until(WELCOME, "dropped"))

    first = (await ask(door, "/users/u-1/decisions?limit=1")).json()
    rest = (await ask(door, f"/users/u-1/decisions?cursor={first['next_cursor']}")).json()

    (newest,) = first["items"]
    assert (newest["message"], newest["outcome"], newest["reason"]) == (
        WELCOME, "dropped", "opted_out",
    )  # fmt: skip
    assert "consent" in newest["rules"]
    assert [item["outcome"] for item in rest["items"]] == ["planned"] * 3
    assert rest["next_cursor"] is None


async def test_messages_are_listed_page_by_page_and_each_can_be_looked_at(
    desk: Desk, door: httpx.AsyncClient, mail: MailServer
):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now), signed_up(now - timedelta(days=1), user="u-2"))
    await desk.plan_at(now)
    await work(desk.handover(provider(mail.port)), desk.until(WELCOME, "accepted"))

    listed: list[str] = []
    cursor = ""
    while True:
        page = (await ask(door, f"/deliveries?limit=2{cursor}")).json()
        listed += [item["message"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    accepted = (await ask(door, "/deliveries?state=accepted&user=u-1")).json()["items"]
    message = (await ask(door, f"/messages/{WELCOME}")).json()

    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(await desk.identities())
    assert [item["message"] for item in accepted] == [WELCOME]
    assert message["letter"]["message_id"].startswith("<occ.")
    assert message["hits"] == {"opens": {}, "clicks": {}}
    assert [decided["outcome"] for decided in message["decisions"]] == ["planned"]
    assert (await ask(door, "/messages/nothing/u-1/x")).json()["code"] == "not_found"


async def test_a_new_version_of_a_program_is_kept_linted_and_planned_by(
    desk: Desk, door: httpx.AsyncClient
):
    await desk.fold(configured(), signed_up())
    await desk.plan_at(SIGNED_UP)
    listed = (await ask(door, "/programs")).json()["items"]
    (course,) = (each["program"] for each in listed if each["program"]["id"] == "weekly-course")
    one_step = {**course, "steps": [{**course["steps"][0], "then": None, "template": "course-6"}]}
    bad = {**course, "steps": [{**course["steps"][0], "then": "nowhere"}]}

    refused = await tell(door, "PUT", "/programs/weekly-course", {"program": bad})
    taken = await tell(door, "POST", "/programs", {"program": one_step})
    kept = await tell(door, "PUT", "/programs/weekly-course", {"program": one_step})
    made = await tell(door, "POST", "/programs", {"program": {**one_step, "id": "my-course"}})
    await desk.everybody()
    await desk.plan_at(SIGNED_UP)

    assert (refused.status_code, refused.json()["code"]) == (422, "program_refused")
    assert (taken.status_code, taken.json()["code"]) == (409, "program_exists")
    assert (kept.status_code, kept.json()["program"]["version"]) == (200, 2)
    assert made.status_code == 201
    (row,) = await desk.ask(
        "SELECT template, program_version FROM message WHERE program = 'weekly-course'"
    )
    assert tuple(row) == ("course-6", 2)


async def test_results_count_messages_not_hits_and_opens_are_a_range(
    desk: Desk, door: httpx.AsyncClient, mail: MailServer
):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now), signed_up(now, user="u-2"))
    await desk.plan_at(now)

    async def both() -> None:
        for user in ("u-1", "u-2"):
            await desk.until(f"welcome/{user}/welcome", "accepted")

    await work(desk.handover(provider(mail.port)), both())
    for user, kind, by in (
        ("u-1", "open", "human"),
        ("u-1", "open", "human"),
        ("u-2", "open", "proxy_prefetch"),
        ("u-1", "click", "human"),
        ("u-2", "click", "scanner"),
    ):
        await desk.execute(
            "INSERT INTO hit (workspace, identity, at, kind, method, user_agent, caller, class,"
            " rule) VALUES (:workspace, :identity, now(), :kind, 'GET', '', '', :by, 'test')",
            workspace=WORKSPACE,
            identity=f"welcome/{user}/welcome",
            kind=kind,
            by=by,
        )

    results = (await ask(door, "/programs/welcome/results")).json()

    total = results["total"]
    assert (total["sent"], total["delivered"]["x"]) == (2, 2)
    assert [rate["x"] for rate in total["opens"]] == [1, 2]
    assert (total["clicks"]["x"], total["clicks"]["n"]) == (1, 2)
    assert results["by_step"] == {"welcome": total}
    assert len(results["by_week"]) == 1
    assert (await ask(door, "/programs/nothing/results")).status_code == 404


async def tell(
    door: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> httpx.Response:
    """Say something with the workspace's key."""
    headers = {"authorization": f"Bearer secret {WORKSPACE}"}
    return await door.request(method, f"/v1{path}", json=body, headers=headers)


BODY = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>{greeting} {{{{ person.name }}}}"
    ' <a href="{{{{ guide_url }}}}">guide</a> <a href="{{{{ unsubscribe_url }}}}">leave</a>'
    "</mj-text></mj-column></mj-section></mj-body></mjml>"
)


async def test_a_template_of_ones_own_is_kept_and_read_as_a_person_would(
    desk: Desk, door: httpx.AsyncClient
):
    await desk.fold(configured(), signed_up())
    before = (await ask(door, "/templates/welcome/en")).json()
    mine = {"subject": "Hello {{ person.name }}", "body": BODY.format(greeting="Ahoy")}
    draft = {"subject": "x", "body": BODY.format(greeting="Draft for")}

    kept = await tell(door, "PUT", "/templates/welcome/en", mine)
    again = await tell(door, "PUT", "/templates/welcome/en", mine)
    preview = await tell(door, "POST", "/templates/welcome/preview", {"user": "u-1"})
    tried = await tell(door, "POST", "/templates/welcome/preview", {"user": "u-1", "source": draft})

    assert before["version"] == 1
    assert (kept.json()["version"], again.json()["version"]) == (2, 3)
    assert preview.json()["subject"] == "Hello Kim"
    assert "Ahoy Kim" in preview.json()["text"]
    assert "Draft for Kim" in tried.json()["text"]
    listed = (await ask(door, "/templates")).json()["items"]
    assert {"template": "welcome", "locale": "en", "version": 3, "own": True} in listed
    assert {"template": "welcome", "locale": "ko", "version": 1, "own": False} in listed


@pytest.mark.parametrize(
    "body",
    [
        "no mjml at all <",
        BODY.format(greeting="{% for i in (1..9999999) %}x{% endfor %}"),
        "<mjml><mj-body></mj-body></mjml>",
    ],
)
async def test_a_template_that_cannot_be_sent_is_not_kept(
    desk: Desk, door: httpx.AsyncClient, body: str
):
    refused = await tell(door, "PUT", "/templates/welcome/en", {"subject": "x", "body": body})

    assert (refused.status_code, refused.json()["code"]) == (422, "template_refused")
    assert (await desk.ask("SELECT count(*) AS n FROM template"))[0].n == 0


async def test_numbers_pauses_and_consents_hold_messages_back(desk: Desk, door: httpx.AsyncClient):
    await desk.fold(configured(), signed_up())
    quiet = {"quiet_from": "07:00", "quiet_to": "10:00", "grace_hours": 2, "most_a_day": None}

    kept = (await tell(door, "PUT", "/messaging-settings", quiet)).json()
    await desk.plan_at(SIGNED_UP)
    weekly = (await desk.messages())[-1][2]
    pause = {
        "starts_at": (SIGNED_UP + timedelta(days=6)).isoformat(),
        "ends_at": (SIGNED_UP + timedelta(days=9)).isoformat(),
    }
    await tell(door, "POST", "/pauses", pause)
    await desk.everybody()
    await desk.plan_at(SIGNED_UP)
    paused = await desk.identities()
    lifted = await tell(door, "DELETE", f"/pauses?starts_at={pause['starts_at'][:19]}Z", {})
    word = {"user": "u-1", "topic": "newsletter", "granted": False}
    news = [(await tell(door, "POST", "/consents", word)).json()["changed"] for _ in range(2)]

    assert (kept["grace_hours"], kept["most_a_day"]) == (2, None)
    # 08:10 is quiet; 10:00 in Seoul is not.
    assert weekly == SIGNED_UP + timedelta(days=7, hours=1, minutes=50)
    assert not any("weekly-course" in identity for identity in paused)
    assert lifted.status_code == 204
    assert (await ask(door, "/pauses")).json()["items"] == []
    assert news == [True, False]
    assert (await desk.told())[-1] == "consent_changed"
    half = await tell(door, "PUT", "/messaging-settings", {"quiet_from": "07:00"})
    assert half.status_code == 422


async def test_a_message_by_the_product_lies_in_the_inbox_until_it_is_read(
    desk: Desk, door: httpx.AsyncClient, mail: MailServer
):
    now = await now_of(desk)
    await desk.fold(configured(), signed_up(now, channels=["in_app"]))
    await desk.plan_at(now)
    await work(desk.handover(provider(mail.port)), desk.until(WELCOME, "accepted"))

    (item,) = (await ask(door, "/users/u-1/inbox")).json()["items"]
    first = await tell(door, "POST", f"/inbox/{WELCOME}/read", {})
    again = await tell(door, "POST", f"/inbox/{WELCOME}/read", {})
    (read,) = (await ask(door, "/users/u-1/inbox")).json()["items"]

    assert (item["message"], item["read_at"]) == (WELCOME, None)
    assert "Kim" in item["text"]
    assert first.json() == again.json() == {"message": WELCOME, "read_at": read["read_at"]}
    assert not mail.got
    assert (await ask(door, "/users/u-1/inbox", of="other")).json()["items"] == []
