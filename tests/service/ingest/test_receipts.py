"""What became of an event: told by its receipt, and among the dead letters where it was refused."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from deploy.local.waiting import ask, wait_until
from shared.bus.record import HEADERS, outgoing
from shared.events.base import Caused
from shared.events.runtime import PROGRESSED
from tests.service.ingest.conftest import AWAIT_SECONDS, Tenant, track
from tests.support.processes import ServiceProcess


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
