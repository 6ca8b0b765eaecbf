"""Webhooks at the door: who is believed, what is answered, and what stands afterwards."""

import base64
import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import msgspec
import pytest

from deploy.local.waiting import wait_until
from services.ingest.model import limits
from tests.service.ingest.conftest import KEY_CACHE_SECONDS, Tenant, new_tenant
from tests.support.processes import ServiceProcess
from tests.support.stack import TemporaryStack
from tests.unit.ingest.stripe_objects import SECRET, event, signature, subscription

STANDARD_KEY = b"24 bytes that sign a lot"
STANDARD_SECRET = "whsec_" + base64.b64encode(STANDARD_KEY).decode()
BILLING, INTERACTIONS = "ingest.billing.v1", "ingest.interactions.v1"
INVOICE = {
    "id": "in_1",
    "amount_paid": 66000,
    "amount_due": 66000,
    "attempt_count": 1,
    "currency": "krw",
    "customer": "cus_1",
}


@pytest.fixture
def hooked(ingest: ServiceProcess, stack: TemporaryStack) -> Tenant:
    """A workspace with a secret of each kind."""
    secrets = {"stripe": [SECRET], "standard": [STANDARD_SECRET]}
    return new_tenant(ingest.url, stack, webhook_secrets=secrets)


def now() -> datetime:
    return datetime.now(UTC)


def happened(kind: str = "customer.subscription.updated", **fields: Any) -> dict[str, Any]:
    """A Stripe event of just now about the usual subscription."""
    return event(kind, subscription(), {}, created=int(time.time()), **fields)


def stripe(
    tenant: Tenant,
    body: Mapping[str, Any] | bytes,
    *,
    secret: str = SECRET,
    at: datetime | None = None,
    path: str | None = None,
) -> httpx.Response:
    """Send as Stripe does."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    address = path if path is not None else f"/webhooks/stripe?key={tenant.keys['write']}"
    return tenant.http.post(
        f"{tenant.url}{address}",
        content=content,
        headers={
            "Stripe-Signature": signature(content, secret, at=at or now()),
            "Content-Type": "application/json; charset=utf-8",
        },
    )


def standard(
    tenant: Tenant, message_id: str, body: Mapping[str, Any], key: bytes = STANDARD_KEY
) -> httpx.Response:
    """Send as the libraries of Standard Webhooks do."""
    content, stamp = msgspec.json.encode(body), str(int(time.time()))
    signed = hmac.new(key, f"{message_id}.{stamp}.".encode() + content, sha256).digest()
    return tenant.http.post(
        f"{tenant.url}/webhooks/standard/{tenant.keys['write']}",
        content=content,
        headers={
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        },
    )


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


INVALID = (400, "invalid_signature")


def test_signed_snapshot_is_a_fact_with_a_receipt(hooked: Tenant):
    answer = stripe(hooked, happened())

    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json() == {"success": True, "message_id": "evt_1", "status": "accepted"}
    (record,) = hooked.in_topic(BILLING)
    assert record["partitionkey"] == f"{hooked.workspace}/cus_1"
    assert record["source"] == "stripe"
    assert record["data"]["fact"]["subscription"] == "sub_1"
    assert record["data"]["provider"]["event_type"] == "customer.subscription.updated"
    receipt = hooked.receipt("evt_1")
    assert (receipt["status"], receipt["topic"]) == ("accepted", BILLING)


@pytest.mark.parametrize(
    "path", ["?key={key}", "/?key={key}", "/{key}", "/{key}/", "/{key}?other=1"]
)
def test_workspace_is_that_of_the_key_in_the_address(hooked: Tenant, path: str):
    address = "/webhooks/stripe" + path.format(key=hooked.keys["write"])

    answer = stripe(hooked, happened(), path=address)

    assert answer.status_code == httpx.codes.OK, answer.text
    assert len(hooked.in_topic(BILLING)) == 1


def test_bytes_are_verified_as_they_came(hooked: Tenant):
    body = b"\n " + msgspec.json.format(msgspec.json.encode(happened()), indent=2) + b"\n"

    assert stripe(hooked, body).status_code == httpx.codes.OK
    assert len(hooked.in_topic(BILLING)) == 1


@pytest.mark.parametrize("seconds", [-310, 310])
def test_signature_of_another_time_is_refused(hooked: Tenant, seconds: int):
    answer = stripe(hooked, happened(), at=now() + timedelta(seconds=seconds))

    assert refused(answer) == INVALID
    assert answer.headers["content-type"] == "application/problem+json"
    assert not hooked.in_topic(BILLING)


def test_signature_by_a_foreign_secret_is_refused(hooked: Tenant):
    assert refused(stripe(hooked, happened(), secret="whsec_foreign")) == INVALID
    assert not hooked.in_topic(BILLING)


def test_webhook_without_a_signature_is_refused(hooked: Tenant):
    path = f"{hooked.url}/webhooks/stripe?key={hooked.keys['write']}"

    assert refused(hooked.http.post(path, json=happened())) == INVALID


def test_workspace_without_secrets_believes_nobody(tenant: Tenant):
    assert refused(stripe(tenant, happened())) == INVALID


def test_secret_of_one_workspace_opens_no_other(hooked: Tenant, another: Tenant):
    another.manage("PATCH", "", {"webhook_secrets": {"stripe": ["whsec_theirs"]}})

    answer = stripe(hooked, happened(), path=f"/webhooks/stripe?key={another.keys['write']}")

    assert refused(answer) == INVALID


def test_secret_of_one_kind_signs_no_other(hooked: Tenant):
    assert refused(stripe(hooked, happened(), secret=STANDARD_SECRET)) == INVALID


def test_secrets_are_rotated_without_a_gap(hooked: Tenant):
    assert stripe(hooked, happened()).is_success

    hooked.manage("PATCH", "", {"webhook_secrets": {"stripe": [SECRET, "whsec_next"]}})
    both = [stripe(hooked, happened(), secret=one) for one in (SECRET, "whsec_next")]
    hooked.manage("PATCH", "", {"webhook_secrets": {"stripe": ["whsec_next"]}})

    assert all(answer.is_success for answer in both)
    assert stripe(hooked, happened(), secret="whsec_next").is_success
    ended = wait_until(
        lambda: stripe(hooked, happened()).status_code == httpx.codes.BAD_REQUEST,
        timeout_seconds=KEY_CACHE_SECONDS + 5,
    )
    assert ended


@pytest.mark.parametrize(
    ("key", "refusal"),
    [
        (None, (401, "missing_key")),
        ("nonsense", (401, "invalid_key")),
        ("read", (403, "scope_missing")),
    ],
)
def test_webhook_needs_a_key_that_may_write(
    hooked: Tenant, key: str | None, refusal: tuple[int, str]
):
    query = f"?key={hooked.keys.get(key, key)}" if key else ""

    assert refused(stripe(hooked, happened(), path=f"/webhooks/stripe{query}")) == refusal


def test_repeat_is_answered_200_and_reaches_the_ledger(hooked: Tenant):
    first, again = (stripe(hooked, happened()) for _ in range(2))

    assert (first.json(), again.json()["status"]) == (again.json(), "accepted")
    records = hooked.in_topic(BILLING)
    assert [record["data"]["fact"]["id"] for record in records] == ["evt_1", "evt_1"]
    assert len({record["id"] for record in records}) == 2
    assert hooked.receipt("evt_1")["status"] == "accepted"


def test_payment_of_a_repeated_webhook_stands_once(hooked: Tenant):
    paid = event("invoice.paid", INVOICE, created=int(time.time()))

    for _ in range(3):
        assert stripe(hooked, paid).is_success

    (payment,) = hooked.in_topic(INTERACTIONS)
    assert payment["type"] == "payment.succeeded.v1"
    assert payment["data"]["amount"] == "66000"
    assert len(hooked.in_topic(BILLING)) == 3


@pytest.mark.parametrize(
    ("body", "code", "message_id"),
    [
        (happened("customer.subscription.frozen", id="evt_2"), "unknown_type", "evt_2"),
        (happened("customer.subscription.trial_will_end", id="evt_3"), "unused_type", "evt_3"),
        (b'{"id":"evt_4"}', "schema_violation", "evt_4"),
        (b"no JSON at all", "schema_violation", None),
        (b"", "schema_violation", None),
    ],
)
def test_signed_webhook_of_no_use_is_answered_200_and_is_a_dead_letter(
    hooked: Tenant, body: Any, code: str, message_id: str | None
):
    answer = stripe(hooked, body)

    assert answer.status_code == httpx.codes.OK
    told = answer.json()
    assert (told["success"], told["status"], told["code"]) == (True, "rejected", code)
    assert message_id in (None, told["message_id"])
    assert hooked.receipt(told["message_id"])["reason"] == code
    (letter,) = hooked.get("/v1/dead-letters").json()["items"]
    assert (letter["kind"], letter["code"]) == ("rejected", code)
    (kept,) = hooked.in_topic("ingest.rejected.v1")
    assert kept["data"]["dialect"] == "stripe"


def test_useless_webhook_sent_again_is_one_dead_letter(hooked: Tenant):
    sent = happened("customer.updated", id="evt_9")

    for _ in range(3):
        assert stripe(hooked, sent).is_success
    hooked.receipt("evt_9")

    assert len(hooked.get("/v1/dead-letters").json()["items"]) == 1


def test_repeat_with_other_content_turns_no_receipt_into_worse(hooked: Tenant):
    assert stripe(hooked, happened()).json()["status"] == "accepted"
    hooked.receipt("evt_1")

    assert stripe(hooked, b'{"id":"evt_1"}').json()["status"] == "rejected"

    wait_until(lambda: bool(hooked.get("/v1/dead-letters").json()["items"]), timeout_seconds=20)
    assert hooked.receipt("evt_1")["status"] == "accepted"


def test_body_beyond_the_limit_is_refused(hooked: Tenant):
    answer = stripe(hooked, b" " * (limits.BODY_BYTES + 1))

    assert refused(answer) == (413, "payload_too_large")


def test_standard_webhook_of_another_type_stands_as_it_came(hooked: Tenant):
    body = {"type": "invoice.sent", "data": {"account": "acme-inc", "n": 1}}

    first, again = (standard(hooked, "msg_1", body) for _ in range(2))

    assert first.json() == again.json()
    assert first.json() == {"success": True, "message_id": "msg_1", "status": "accepted"}
    (record,) = hooked.in_topic(INTERACTIONS)
    assert record["type"] == "external.received.v1"
    assert record["data"] == {"event": "invoice.sent", "payload": body}
    assert record["partitionkey"] == f"{hooked.workspace}/acme-inc"
    assert hooked.receipt("msg_1")["topic"] == INTERACTIONS


def test_standard_webhook_of_a_native_type_stands_as_what_it_is(hooked: Tenant):
    data = {"contract": "c-7", "starts_on": "2026-01-05", "auto_renew": True}

    standard(hooked, "msg_2", {"type": "contract.upserted", "data": {"account": "acme", **data}})

    (record,) = hooked.in_topic("ingest.accounts.v1")
    assert (record["subject"], record["data"]) == ("acme", data)


def test_standard_webhook_by_a_foreign_key_is_refused(hooked: Tenant):
    assert refused(standard(hooked, "msg_3", {"type": "x"}, key=b"foreign")) == INVALID
    assert not hooked.in_topic(INTERACTIONS)


@pytest.mark.parametrize(
    "path", ["/webhooks", "/webhooks/", "/webhooks/paypal", "/webhooks/stripe/a/b"]
)
def test_other_senders_have_no_door(hooked: Tenant, path: str):
    assert stripe(hooked, happened(), path=f"/webhooks{path}").status_code == 404
