"""What became of an event: told by its receipt, and among the dead letters where it was refused."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.layout import ROOT
from deploy.local.waiting import ask, wait_until
from shared.bus.record import HEADERS, outgoing
from shared.events.base import Caused
from shared.events.runtime import PROGRESSED
from tests.service.ingest.conftest import AWAIT_SECONDS, Tenant, track
from tests.support.letters import keep_letters
from tests.support.processes import ServiceProcess
from tests.unit.health.builders import used


async def _publish(bootstrap: str, service: str, step: dict[str, Any]) -> None:
    place = f"{step['read_topic']}/{step['partition']}"
    event = PROGRESSED[service](**step)
    wire = outgoing(
        Caused(
            event=event,
            workspace="",
            cause_id=f"test/{place}/{step['next_offset']}",
            time=step["at"],
            record_key=place,
        ),
        source=f"/{service}",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    await producer.send_and_wait(
        wire.topic.name, wire.payload, key=wire.key.encode(), headers=HEADERS
    )
    await producer.stop()


def progressed(
    tenant: Tenant, service: str, receipt: dict[str, Any], *, past: int, at: str
) -> None:
    """Say that `service` stands `past` records behind the event."""
    step = {
        "read_topic": receipt["topic"],
        "partition": receipt["partition"],
        "next_offset": receipt["offset"] + past,
        "at": datetime.fromisoformat(at).astimezone(UTC),
    }
    ask(_publish(tenant.bootstrap, service, step))


def test_receipt_says_where_the_event_stands(tenant: Tenant):
    tenant.batch(track("m-1"))

    receipt = tenant.receipt("m-1")

    assert receipt["message_id"] == "m-1"
    assert receipt["status"] == "accepted"
    assert receipt["topic"] == "ingest.usage.v1"
    assert receipt["offset"] >= 0
    assert receipt["processed_by"] == {}
    assert tenant.get("/v1/receipts/m-1", scope="write").json() == receipt


def test_receipt_is_found_by_an_id_that_needs_encoding(tenant: Tenant):
    tenant.batch(track("a/b c?%"))

    assert tenant.receipt("a%2Fb%20c%3F%25")["message_id"] == "a/b c?%"


def test_receipt_is_found_by_the_id_that_was_given(tenant: Tenant):
    answer = tenant.post("/v1/track", {"userId": "u", "event": "E"}).json()

    assert tenant.receipt(answer["assigned"][0]["messageId"])["status"] == "accepted"


def test_service_appears_once_it_is_behind_the_event(tenant: Tenant):
    tenant.batch(track("m-1"))
    receipt = tenant.receipt("m-1")

    progressed(tenant, "cadence", receipt, past=0, at="2026-11-22T10:00:00Z")
    progressed(tenant, "health", receipt, past=1, at="2026-11-22T11:00:00Z")
    progressed(tenant, "health", receipt, past=5, at="2026-11-22T12:00:00Z")

    appeared = wait_until(
        lambda: bool(tenant.get("/v1/receipts/m-1").json()["processed_by"]),
        timeout_seconds=AWAIT_SECONDS,
    )
    assert appeared
    assert tenant.get("/v1/receipts/m-1").json()["processed_by"] == {
        "health": {"at": "2026-11-22T11:00:00Z"}
    }


def test_unknown_message_and_that_of_another_workspace_are_not_there(
    tenant: Tenant, another: Tenant
):
    another.batch(track("theirs"))
    another.receipt("theirs")

    for message_id in ("theirs", "nobodys", "%00"):
        answer = tenant.get(f"/v1/receipts/{message_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_refused_event_has_a_receipt_and_is_a_dead_letter(tenant: Tenant):
    tenant.batch({"type": "track", "userId": "u", "messageId": "bad"})

    receipt = tenant.receipt("bad")
    (letter,) = tenant.get("/v1/dead-letters").json()["items"]

    assert (receipt["status"], receipt["reason"]) == ("rejected", "missing_event")
    assert receipt["topic"] == "ingest.rejected.v1"
    assert (letter["kind"], letter["message_id"]) == ("rejected", "bad")
    assert (letter["code"], json.loads(letter["preview"])["messageId"]) == ("missing_event", "bad")


def test_the_same_refusal_in_two_workspaces_is_seen_in_both(tenant: Tenant, another: Tenant):
    for each in (tenant, another):
        each.batch({"type": "track", "userId": "u", "messageId": "twin"})
        each.receipt("twin")

    found = [each.get("/v1/dead-letters").json()["items"] for each in (tenant, another)]

    assert [[item["code"] for item in items] for items in found] == [["missing_event"]] * 2


def test_dead_letters_come_page_by_page_the_newest_first(tenant: Tenant, another: Tenant):
    another.batch({"type": "x", "messageId": "theirs"})
    for number in range(5):
        tenant.batch({"type": "x", "messageId": f"bad-{number}"})
        tenant.receipt(f"bad-{number}")

    seen, cursor = [], ""
    while True:
        page = tenant.get(f"/v1/dead-letters?limit=2{cursor}").json()
        seen += [item["message_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == [f"bad-{number}" for number in reversed(range(5))]


def test_refusal_after_acceptance_changes_nothing_and_acceptance_mends_a_refusal(tenant: Tenant):
    tenant.batch(track("good"), {"type": "x", "messageId": "mended"})
    assert tenant.receipt("good")["status"] == "accepted"
    assert tenant.receipt("mended")["status"] == "rejected"

    tenant.batch({"type": "x", "messageId": "good"}, track("mended"), track("last"))
    tenant.receipt("last")

    mended = wait_until(
        lambda: tenant.receipt("mended")["status"] == "accepted", timeout_seconds=AWAIT_SECONDS
    )
    assert mended
    assert tenant.receipt("good")["status"] == "accepted"


def test_event_sent_again_after_a_restart_is_a_duplicate(ingest: ServiceProcess, tenant: Tenant):
    tenant.batch(track("before"))
    tenant.receipt("before")

    with ServiceProcess("ingest", ingest.environment, arguments=("--roles", "api")) as restarted:
        answer = httpx.post(
            f"{restarted.url}/v1/batch",
            json={"batch": [track("before"), track("after")]},
            auth=(tenant.keys["write"], ""),
        ).json()

    assert (answer["accepted"], answer["duplicates"]) == (1, 1)


# --- dead letters of ingest's own lanes ----------------------------------------------------------


def given_up(ingest: ServiceProcess, tenant: Tenant, message_id: str) -> str:
    """A letter of the receipts lane, as an earlier build left it."""
    event = used(
        datetime(2026, 3, 2, tzinfo=UTC),
        account="acme-inc",
        workspace=tenant.workspace,
        event_id=f"default {message_id}",
    )
    envelope = msgspec.structs.replace(event.envelope, messageid=message_id)
    (letter,) = keep_letters(
        ingest.environment["DATABASE_URL_INGEST"],
        "ingest",
        [msgspec.structs.replace(event, envelope=envelope, appended_at=datetime.now(UTC))],
        lane="receipts",
    )
    return letter


def test_refused_events_and_dead_letters_stand_in_one_list(ingest: ServiceProcess, tenant: Tenant):
    tenant.batch({"type": "track", "userId": "u", "messageId": "bad"})
    tenant.receipt("bad")
    letter = given_up(ingest, tenant, "odd")

    items = tenant.get("/v1/dead-letters").json()["items"]

    assert [(item["kind"], item["code"], item["redrivable"]) for item in items] == [
        ("dead_letter", "too_odd", True),
        ("rejected", "missing_event", False),
    ]
    assert (items[0]["id"], items[0]["lane"]) == (letter, "receipts")
    for item in items:
        assert tenant.get(f"/v1/dead-letters/{item['id']}").json() == item


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("code=too_odd", ["too_odd"]),
        ("code=missing_event", ["missing_event"]),
        ("lane=receipts", ["too_odd"]),
        ("type=usage.tracked.v1", ["too_odd"]),
        ("type=no.such.v1", []),
        ("state=open", ["too_odd", "missing_event"]),
        ("state=redriven", []),
        ("from=2026-01-01T00:00:00Z&state=all", ["too_odd", "missing_event"]),
        ("to=2026-01-01T00:00:00Z", []),
    ],
)
def test_the_list_is_narrowed_by_each_filter(
    ingest: ServiceProcess, tenant: Tenant, query: str, wanted: list[str]
):
    tenant.batch({"type": "track", "userId": "u", "messageId": "bad"})
    tenant.receipt("bad")
    given_up(ingest, tenant, "odd")

    answer = tenant.get(f"/v1/dead-letters?{query}")

    assert [item["code"] for item in answer.json()["items"]] == wanted


def test_a_letter_of_ingest_is_redriven_and_discarded_like_any(
    ingest: ServiceProcess, tenant: Tenant, another: Tenant
):
    letter, unwanted = given_up(ingest, tenant, "odd"), given_up(ingest, tenant, "unwanted")

    def post(of: Tenant, path: str, body: Any = None) -> httpx.Response:
        return of.post(
            f"/v1/dead-letters{path}",
            body,
            headers={"Authorization": f"Bearer {of.keys['manage']}"},
        )

    rehearsed = post(tenant, "/redrive", {"code": "too_odd", "dry_run": True}).json()["items"]
    stolen = post(another, f"/{letter}/redrive")
    missing = tenant.get("/v1/receipts/odd").status_code
    redriven = post(tenant, f"/{letter}/redrive")
    discarded = post(tenant, f"/{unwanted}/discard", {"reason": "sent by a test"})

    assert [item["outcome"] for item in rehearsed] == ["applied", "applied"]
    assert (stolen.status_code, stolen.json()["code"]) == (404, "dead_letter_unknown")
    assert another.get(f"/v1/dead-letters/{letter}").status_code == 404
    assert missing == 404
    assert (redriven.status_code, discarded.status_code) == (200, 200)
    assert tenant.receipt("odd")["status"] == "accepted"
    states = {item["id"]: item["state"] for item in tenant.get("/v1/dead-letters").json()["items"]}
    assert states == {letter: "redriven", unwanted: "discarded"}
    audit = tenant.get("/v1/dead-letters/audit").json()["items"]
    assert [(entry["dead_letter"], entry["outcome"]) for entry in audit] == [
        (unwanted, "discarded"),
        (letter, "applied"),
    ]
    assert another.get("/v1/dead-letters/audit").json()["items"] == []


def test_the_command_line_works_beside_the_running_service(ingest: ServiceProcess, tenant: Tenant):
    letter = given_up(ingest, tenant, "odd")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.ingest", *arguments],
            cwd=ROOT,
            env={**os.environ, **ingest.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    listed = run("dead-letters", "--limit", "500")
    redriven = run("redrive", letter, "--by", "ada")

    assert (listed.returncode, letter in listed.stdout) == (0, True), listed.stderr
    assert (redriven.returncode, "1 applied" in redriven.stdout) == (0, True), redriven.stderr
    assert tenant.receipt("odd")["status"] == "accepted"
