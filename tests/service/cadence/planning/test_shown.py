"""What a person is to get, and why something went or did not, at the service's own door."""

from collections.abc import AsyncIterator
from datetime import timedelta

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
                scopes=["read"],
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
