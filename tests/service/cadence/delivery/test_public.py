"""What comes back of a message: scanners, people who leave, reports (drills 12, 13, 14)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from services.cadence.api import public_router, router
from services.cadence.model.hits import HitPolicy
from services.cadence.schedule.tracking import tracking_job
from services.cadence.settings import CadenceSettings
from shared import auth
from shared.bus.record import outgoing
from shared.bus.tables import append_outbox
from shared.events.ingest import KeyIssued
from shared.service import Service, app_of
from tests.service.cadence.delivery.office import SECRETS, WORKSPACE, Office, now_of, provider, work
from tests.support.smtp import Got, MailServer

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"
DSN = """\
From: MAILER-DAEMON@example.com\r
To: bounces@acme.test\r
Subject: Undelivered Mail Returned to Sender\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
\r
--b\r
Content-Type: text/plain\r
\r
I'm sorry.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; example.com\r
\r
Final-Recipient: rfc822; u-1@example.com\r
Action: failed\r
Status: {status}\r
\r
--b\r
Content-Type: text/rfc822-headers\r
\r
Message-ID: {message_id}\r
\r
--b--\r
"""


def door(office: Office) -> FastAPI:
    """The service's own app."""
    settings = CadenceSettings(
        DATABASE_URL_CADENCE="postgresql://unused/unused", secrets=",".join(SECRETS)
    )
    return app_of(
        Service(
            name="cadence",
            description="",
            settings=settings,
            routers=(router, public_router),
            database=office.database,
        )
    )


@dataclass(frozen=True)
class Sent:
    """A letter that was sent, and the door that its addresses lead to."""

    office: Office
    http: httpx.AsyncClient
    identity: str
    got: Got

    @property
    def page(self) -> str:
        """Its HTML."""
        body = self.got.letter.get_body(("html",))
        assert body is not None
        return str(body.get_content())

    def paths(self, kind: str) -> list[str]:
        """The paths of this kind in the page: `/t/o/`, `/t/c/`, `/u/`."""
        return [
            urlsplit(found).path
            for found in re.findall(r'(?:href|src)="([^"]+)"', self.page)
            if urlsplit(found).path.startswith(kind)
        ]

    async def classes(self) -> list[tuple[str, str | None, str | None]]:
        """Kind, class and rule of every hit, decided now."""
        await decide_all(self.office)
        found = await self.office.ask("SELECT kind, class, rule FROM hit ORDER BY id")
        return [(row.kind, row[1], row.rule) for row in found]


async def decide_all(office: Office) -> None:
    """Run the job that gives hits their class, as if the time for that had come."""
    job = tracking_job(settle=-HitPolicy().near_trap, policy=HitPolicy())
    now = await now_of(office)
    async with office.database.transaction() as tx:
        caused = await job.run(now, tx)
        await append_outbox(tx, [outgoing(event, source="/cadence") for event in caused])


async def allow(office: Office, workspace: str) -> dict[str, str]:
    """The headers of a key of that workspace that may do everything."""
    issued = KeyIssued(
        key_id=f"k-{workspace}",
        prefix="k",
        sha256=auth.hashed(f"secret of {workspace}"),
        scopes=["manage"],
        source="x",
    )
    async with office.database.transaction() as tx:
        await auth.save_key(tx, workspace, issued, issued_at=datetime(2020, 1, 1, tzinfo=UTC))
    return {"authorization": f"Bearer secret of {workspace}"}


@pytest.fixture
async def sent(office: Office, mail: MailServer) -> AsyncIterator[Sent]:
    """A letter that was accepted an hour ago."""
    address = await office.person()
    identity = await office.plan()
    await work(office.handover(provider(mail.port)), office.until(identity, "accepted"))
    await office.execute("UPDATE message SET ended_at = ended_at - interval '1 hour'")
    (got,) = mail.got_by(address)
    app = door(office)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8003") as http:
        yield Sent(office, http, identity, got)


async def test_a_person_who_opens_and_clicks_is_human(sent: Sent):
    (pixel,) = sent.paths("/t/o/")
    link = sent.paths("/t/c/")[0]

    opened = await sent.http.get(pixel, headers={"user-agent": BROWSER})
    clicked = await sent.http.get(link, headers={"user-agent": BROWSER})

    assert opened.headers["content-type"] == "image/gif"
    assert opened.headers["cache-control"].startswith("no-store")
    assert clicked.status_code == httpx.codes.FOUND
    assert clicked.headers["location"] == "https://example.com/guide"
    assert clicked.headers["referrer-policy"] == "no-referrer"
    assert [found[1] for found in await sent.classes()] == ["human", "human"]
    assert (await sent.office.told())[-2:] == ["opened", "clicked"]


async def test_a_scanner_that_fetches_everything_is_none_and_unsubscribes_nobody(sent: Sent):
    for path in [*sent.paths("/t/c/"), *sent.paths("/u/"), *sent.paths("/t/o/")]:
        await sent.http.head(path, headers={"user-agent": BROWSER})
        await sent.http.get(path, headers={"user-agent": BROWSER})

    classes = await sent.classes()

    assert len(classes) == 6
    assert {found[1] for found in classes} == {"scanner"}
    assert await sent.office.ask("SELECT 1 FROM suppression") == []
    assert await sent.office.ask("SELECT 1 FROM consent") == []


async def test_hits_are_decided_and_told_of_once(sent: Sent):
    await sent.http.get(sent.paths("/t/o/")[0], headers={"user-agent": BROWSER})

    await decide_all(sent.office)
    await decide_all(sent.office)

    assert (await sent.office.told()).count("opened") == 1


async def test_hits_of_long_ago_are_decided_too(sent: Sent):
    await sent.http.get(sent.paths("/t/o/")[0], headers={"user-agent": BROWSER})
    await sent.office.execute("UPDATE hit SET at = at - interval '3 days'")

    assert [found[1] for found in await sent.classes()] == ["proxy_prefetch"]


async def test_a_flood_on_one_message_is_kept_up_to_a_bound(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.cadence.store.hits.MOST_OF_A_MESSAGE", 5)

    for _ in range(8):
        await sent.http.get(sent.paths("/t/o/")[0], headers={"user-agent": BROWSER})

    assert len(await sent.office.ask("SELECT 1 FROM hit")) == 5


async def test_a_link_that_was_never_sent_leads_nowhere(sent: Sent):
    answer = await sent.http.get("/t/c/https:%2F%2Fevil.example")

    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "location" not in answer.headers


async def test_asking_a_hundred_times_unsubscribes_nobody(sent: Sent):
    (path,) = sent.paths("/u/")

    answers = {(await sent.http.get(path)).status_code for _ in range(100)}

    assert answers == {httpx.codes.OK}
    assert await sent.office.ask("SELECT 1 FROM consent") == []


async def test_one_click_without_cookies_twice_is_one_suppression(sent: Sent, mail: MailServer):
    header = sent.got.letter["List-Unsubscribe"]
    path = urlsplit(header.strip("<>")).path

    answers = [
        await sent.http.post(
            path,
            content="List-Unsubscribe=One-Click",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    suppressed = await sent.office.ask("SELECT scope, reason FROM suppression")
    assert [tuple(row) for row in suppressed] == [("onboarding", "unsubscribe")]
    assert (await sent.office.told()).count("consent_changed") == 1
    later = await sent.office.plan(identity="weekly-course/u-1/2026-03-09")
    row = await work(sent.office.handover(provider(mail.port)), sent.office.until(later, "dropped"))
    assert row.reason == "opted_out"


async def test_a_token_of_another_purpose_or_another_secret_unsubscribes_nobody(sent: Sent):
    (path,) = sent.paths("/u/")

    changed = await sent.http.post(path[:-2] + ("aa" if path[-2:] != "aa" else "bb"))
    opened = await sent.http.post("/u/" + sent.paths("/t/o/")[0].rpartition("/")[2])

    assert (changed.status_code, opened.status_code) == (404, 404)
    assert await sent.office.ask("SELECT 1 FROM suppression") == []


@pytest.mark.parametrize(
    ("status", "kind", "until"), [("5.1.1", "hard_bounce", None), ("4.2.2", "soft_bounce", 3)]
)
async def test_a_report_of_failure_suppresses_the_address(
    sent: Sent, status: str, kind: str, until: int | None
):
    manage = await allow(sent.office, WORKSPACE)
    raw = DSN.format(status=status, message_id=sent.got.message_id)

    answers = [
        (await sent.http.post("/v1/bounces/raw", content=raw, headers=manage)).json()
        for _ in range(2)
    ]

    assert answers == [{"kind": kind, "matched": True}] * 2
    (row,) = await sent.office.ask("SELECT scope, reason, until, at FROM suppression")
    assert (row.scope, row.reason) == ("all", kind)
    assert (row.until is None) == (until is None)
    assert until is None or (row.until - row.at).days == until
    assert (await sent.office.told()).count("delivery_rejected") == 1


@pytest.mark.parametrize(
    "raw",
    [
        DSN.format(status="5.1.1", message_id="<occ.AAAAAAAAAAAAAAAAAAAAAA@acme.test>"),
        "\x00\xff garbled --b\r\n\r\n",
        "Subject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.",
    ],
)
async def test_reports_that_say_nothing_of_a_letter_of_ours_suppress_nobody(sent: Sent, raw: str):
    manage = await allow(sent.office, WORKSPACE)

    answer = await sent.http.post("/v1/bounces/raw", content=raw.encode(), headers=manage)

    assert answer.status_code == httpx.codes.OK
    assert answer.json()["matched"] is False
    assert await sent.office.ask("SELECT 1 FROM suppression") == []
    assert len(await sent.office.ask("SELECT 1 FROM bounce_report")) == 1


async def test_a_report_forged_in_another_workspace_suppresses_nobody(sent: Sent):
    stranger = await allow(sent.office, "stranger")
    raw = DSN.format(status="5.1.1", message_id=sent.got.message_id)

    forged = await sent.http.post("/v1/bounces/raw", content=raw, headers=stranger)

    assert forged.json()["matched"] is False
    assert await sent.office.ask("SELECT 1 FROM suppression") == []


async def test_a_provider_that_reports_a_complaint_takes_the_person_off_everything(sent: Sent):
    manage = await allow(sent.office, WORKSPACE)

    answer = await sent.http.post(
        "/v1/bounces",
        json={"kind": "complaint", "message_id": sent.got.message_id, "event": "e-1"},
        headers=manage,
    )

    assert answer.json() == {"kind": "complaint", "matched": True}
    (row,) = await sent.office.ask("SELECT topic, granted FROM consent")
    assert tuple(row) == ("all", False)
    assert "consent_changed" in await sent.office.told()
