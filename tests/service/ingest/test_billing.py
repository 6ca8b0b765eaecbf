"""Billing facts on the real Kafka: each is answered for itself, and a repeat stands again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.ingest.model import limits
from tests.service.ingest.conftest import Tenant, track

BILLING = "ingest.billing.v1"


def state(fact_id: str, **fields: Any) -> dict[str, Any]:
    """A subscription that is accepted as it is; `fields` replace its own."""
    item = {"price": "team", "interval": "month", "quantity": 40, "unit_amount": "11000"}
    return {
        "type": "subscription_state",
        "id": fact_id,
        "effective_at": "2026-01-05T00:00:00Z",
        "account": "acme-inc",
        "subscription": f"s-{fields.get('account', 'acme-inc')}",  # of one account for ever
        "status": "active",
        "currency": "KRW",
        "items": [item],
        **fields,
    }


def rate(fact_id: str) -> dict[str, Any]:
    """A rate, which belongs to no account."""
    return {"type": "fx_rate", "id": fact_id, "currency": "USD", "month": "2026-01", "rate": "1450"}


def send(tenant: Tenant, *facts: Any, scope: str = "write") -> list[dict[str, Any]]:
    """The results of facts sent in one request."""
    answer = tenant.post("/v1/billing", {"facts": list(facts)}, auth=(tenant.keys[scope], ""))
    assert answer.status_code == httpx.codes.OK, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def standing(tenant: Tenant) -> list[dict[str, Any]]:
    """The facts of the workspace as they stand in Kafka."""
    return [record["data"]["fact"] for record in tenant.in_topic(BILLING)]


def test_every_fact_has_its_result_in_the_order_sent(tenant: Tenant):
    bad = state("bad", currency="XXX")

    results = send(tenant, state("a"), bad, rate("b"), "nonsense", state("c", account="other"))

    assert [result["id"] for result in results] == ["a", "bad", "b", None, "c"]
    assert [result["status"] for result in results] == [
        "accepted",
        "rejected",
        "accepted",
        "rejected",
        "accepted",
    ]
    assert [result.get("code") for result in results] == [
        None,
        "unknown_currency",
        None,
        "schema_violation",
        None,
    ]
    assert "XXX" in results[1]["message"]
    assert sorted(fact["id"] for fact in standing(tenant)) == ["a", "b", "c"]


def test_result_says_where_the_fact_stands_as_its_receipt_does(tenant: Tenant):
    accepted, refused = send(tenant, state("a"), state("bad", items=None))

    for result, status in ((accepted, "accepted"), (refused, "rejected")):
        receipt = tenant.receipt(result["message_id"])
        assert receipt["status"] == status
        assert receipt["reason"] == result.get("code")
        assert {name: receipt[name] for name in ("topic", "partition", "offset")} == {
            name: result[name] for name in ("topic", "partition", "offset")
        }
    assert (accepted["topic"], refused["topic"]) == (BILLING, "ingest.rejected.v1")


def test_facts_of_an_account_stand_in_the_order_sent(tenant: Tenant):
    results = send(tenant, *(state(f"f-{number}") for number in range(100)))

    assert len({result["partition"] for result in results}) == 1
    offsets = [result["offset"] for result in results]
    assert offsets == sorted(offsets)
    assert [fact["id"] for fact in standing(tenant)] == [f"f-{number}" for number in range(100)]


def test_repeat_is_a_fact_of_its_own_here(tenant: Tenant):
    (first,), (again,) = send(tenant, state("a")), send(tenant, state("a"))

    assert (first["status"], again["status"]) == ("accepted", "accepted")
    assert first["message_id"] != again["message_id"]
    assert len({record["id"] for record in tenant.in_topic(BILLING)}) == 2
    for result in (first, again):
        assert tenant.receipt(result["message_id"])["offset"] == result["offset"]


def test_refused_fact_is_a_dead_letter_as_it_came(tenant: Tenant):
    (refused,) = send(tenant, state("bad", account="a" * 201))
    tenant.receipt(refused["message_id"])

    (letter,) = tenant.get("/v1/dead-letters").json()["items"]

    assert (letter["kind"], letter["message_id"]) == ("rejected", refused["message_id"])
    assert letter["code"] == "schema_violation"
    assert '"id":"bad"' in letter["preview"].replace(" ", "")


def test_nan_of_one_fact_costs_the_others_nothing(tenant: Tenant):
    body = json.dumps({"facts": [state("a"), state("b", note=float("nan")), state("c")]})

    answer = tenant.post("/v1/billing", content=body)

    assert [one["status"] for one in answer.json()["results"]] == [
        "accepted",
        "rejected",
        "accepted",
    ]


def test_record_time_counts_with_a_manage_key_only(tenant: Tenant):
    said = state("a", recorded_at="2026-02-01T00:00:00Z")

    send(tenant, said)
    send(tenant, said, scope="manage")

    plain, dated = tenant.in_topic(BILLING)
    assert "recorded_at" not in plain["data"]
    assert dated["data"]["recorded_at"] == "2026-02-01T00:00:00Z"
    for record in (plain, dated):
        assert "recorded_at" not in record["data"]["fact"]


def test_fact_is_recorded_when_the_edge_had_it(tenant: Tenant):
    before = datetime.now(UTC) - timedelta(seconds=1)

    send(tenant, state("a"))

    (record,) = tenant.in_topic(BILLING)
    assert record["time"] == "2026-01-05T00:00:00Z"
    assert before <= datetime.fromisoformat(record["recordedtime"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b'{"facts":[]}', 400, "empty_batch"),
        (b"{}", 400, "empty_batch"),
        (b'{"facts":[' + b"{}," * 500 + b"{}]}", 413, "payload_too_large"),
        (b" " * (limits.IMPORT_BODY_BYTES + 1), 413, "payload_too_large"),
    ],
)
def test_request_that_cannot_be_read_is_refused_in_words(
    tenant: Tenant, body: bytes, status: int, code: str
):
    answer = tenant.post("/v1/billing", content=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_500_facts_are_taken_at_once(tenant: Tenant):
    results = send(tenant, *(state(f"f-{number}", account=f"a-{number}") for number in range(500)))

    assert {result["status"] for result in results} == {"accepted"}
    assert len(standing(tenant)) == 500


def test_facts_need_a_key_that_may_write(tenant: Tenant):
    sent = {"facts": [state("a")]}

    unknown = tenant.post("/v1/billing", sent, headers={})
    reading = tenant.post("/v1/billing", sent, auth=(tenant.keys["read"], ""))

    assert (unknown.status_code, unknown.json()["code"]) == (401, "missing_key")
    assert (reading.status_code, reading.json()["code"]) == (403, "scope_missing")
    assert standing(tenant) == []


@pytest.mark.parametrize(
    ("name", "fields", "topic"),
    [
        (
            "contract.upserted",
            {"contract": "c-7", "starts_on": "2026-01-05", "auto_renew": True},
            "ingest.accounts.v1",
        ),
        (
            "payment.failed",
            {"payment": "p-1", "amount": "33000", "currency": "KRW"},
            "ingest.interactions.v1",
        ),
    ],
)
def test_native_event_stands_in_its_topic_and_has_a_receipt(
    tenant: Tenant, name: str, fields: dict[str, Any], topic: str
):
    tenant.batch(track("m-1", event=name, properties=fields))

    receipt = tenant.receipt("m-1")
    (record,) = tenant.in_topic(topic)
    assert (receipt["status"], receipt["topic"]) == ("accepted", topic)
    assert record["type"] == f"{name}.v1"
    assert record["data"] == {"user": "u-1", **fields}
