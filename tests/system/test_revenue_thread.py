"""From a fact at the edge to the months of the ledger, on the real stack over HTTP."""

import hmac
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from deploy.local.waiting import wait_until
from tests.support.mainstay import OPERATOR_KEY
from tests.support.processes import ServiceProcess
from tests.support.stack import ANY_POISON, TemporaryStack

AWAIT_SECONDS = 30.0
SPAN = {"from": "2026-01", "to": "2026-03"}
WEBHOOK_SECRET = "whsec_of_the_tests"


@dataclass(frozen=True)
class Tenant:
    """A workspace with its keys, seen through both doors."""

    workspace: str
    keys: dict[str, str]
    ingest: str
    metrics: str

    def bill(self, *facts: dict[str, Any]) -> list[dict[str, Any]]:
        answer = httpx.post(
            f"{self.ingest}/v1/billing", json={"facts": facts}, auth=(self.keys["write"], "")
        )
        assert answer.is_success, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.metrics}{path}",
            params=parameters,
            headers={"authorization": f"Bearer {self.keys['read']}"},
            timeout=30,
        )
        body: dict[str, Any] = answer.json() if answer.is_success else {}
        return body

    def mrr_end(self, month: str) -> str | None:
        months = self.get("/v1/revenue/months", **SPAN).get("months", {})
        return months[month]["mrr_end"] if months else None


@pytest.fixture(scope="module")
def services(stack: TemporaryStack) -> Iterator[tuple[ServiceProcess, ServiceProcess]]:
    """Ingest and metrics on fresh databases, ready."""
    names = ("ingest", "metrics")
    databases = {name: stack.fresh_database(name) for name in names}
    environment = {
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        **ANY_POISON,
        "KAFKA_GROUP_SUFFIX": f".{secrets.token_hex(4)}",
        "OPERATOR_KEY": OPERATOR_KEY,
        **{f"DATABASE_URL_{name.upper()}": url for name, url in databases.items()},
    }
    with ExitStack() as started:
        ingest, metrics = (
            started.enter_context(ServiceProcess(name, environment)) for name in names
        )
        yield ingest, metrics


@pytest.fixture
def tenant(services: tuple[ServiceProcess, ServiceProcess]) -> Tenant:
    """A workspace of its own, in won and Seoul."""
    ingest, metrics = services
    workspace = f"t-{secrets.token_hex(6)}"
    answer = httpx.post(
        f"{ingest.url}/v1/workspaces",
        headers={"authorization": f"Bearer {OPERATOR_KEY}"},
        json={
            "id": workspace,
            "name": "Tenant",
            "time_zone": "Asia/Seoul",
            "reporting_currency": "KRW",
            "locale": "ko",
            "gross_margin": "0.8",
            "webhook_secrets": {"stripe": [WEBHOOK_SECRET]},
        },
    )
    assert answer.status_code == httpx.codes.CREATED, answer.text
    made = Tenant(workspace, answer.json()["keys"], ingest.url, metrics.url)
    assert wait_until(
        lambda: bool(made.get("/v1/revenue/months", **SPAN)), timeout_seconds=AWAIT_SECONDS
    )
    return made


def state(name: str, at: str, quantity: int, **fields: Any) -> dict[str, Any]:
    """Seats at 11,000 won a month."""
    item = {"price": "seat", "interval": "month", "quantity": quantity, "unit_amount": "11000"}
    return {
        "type": "subscription_state",
        "id": name,
        "effective_at": at,
        "account": "acme",
        "subscription": "s-1",
        "status": "active",
        "currency": "KRW",
        "items": [item],
        **fields,
    }


def test_facts_over_http_are_months_with_movements_that_name_them(tenant: Tenant):
    # Seoul's February begins at 15:00 UTC of the last day of January.
    results = tenant.bill(
        state("f-1", "2026-01-10T00:00:00Z", 10),
        state("f-2", "2026-01-31T15:00:00Z", 12),
        state("f-2", "2026-01-31T15:00:00Z", 12),
        state("f-3", "2026-03-10T00:00:00Z", 0, status="canceled"),
    )

    assert [result["status"] for result in results] == ["accepted"] * 4
    booked = wait_until(
        lambda: tenant.mrr_end("2026-02") == "132000", timeout_seconds=AWAIT_SECONDS
    )
    assert booked
    assert wait_until(lambda: tenant.mrr_end("2026-03") == "0", timeout_seconds=AWAIT_SECONDS)
    found = tenant.get("/v1/revenue/months", **SPAN)
    assert [month["mrr_end"] for month in found["months"].values()] == ["110000", "132000", "0"]
    assert found["months"]["2026-02"]["ndr"] == pytest.approx(1.2)
    assert found["duplicates_ignored"] == 1
    movements = tenant.get("/v1/revenue/movements", **SPAN)["items"]
    assert [(m["type"], m["amount"], m["facts"]) for m in movements] == [
        ("new", "110000", ["f-1"]),
        ("expansion", "22000", ["f-2"]),
        ("churn", "-132000", ["f-3"]),
    ]


def test_a_margin_that_metrics_is_told_stands_in_ingest_too(tenant: Tenant):
    changed = httpx.post(
        f"{tenant.metrics}/v1/settings",
        json={"gross_margin": "0.65"},
        headers={"authorization": f"Bearer {tenant.keys['manage']}"},
    )
    assert changed.is_success, changed.text

    def margin() -> str | None:
        """The margin that ingest answers a change of another setting with."""
        answer = httpx.patch(
            f"{tenant.ingest}/v1/workspaces/{tenant.workspace}",
            json={"name": "Another"},
            headers={"authorization": f"Bearer {tenant.keys['manage']}"},
        )
        assert answer.is_success, answer.text
        found: str | None = answer.json()["gross_margin"]
        return found

    assert wait_until(lambda: margin() == "0.65", timeout_seconds=AWAIT_SECONDS), margin()
    # Each change of a setting tells all of them: one that crossed this on its way is put right.
    assert wait_until(
        lambda: tenant.get("/v1/settings")["gross_margin"] == "0.65",
        timeout_seconds=AWAIT_SECONDS,
    )


def test_a_stripe_webhook_is_booked_for_the_account_that_its_customer_is(tenant: Tenant):
    subscription = {
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "status": "active",
        "currency": "krw",
        "created": 1767225600,
        "start_date": 1767225600,
        "items": {
            "data": [
                {
                    "id": "si_1",
                    "quantity": 3,
                    "price": {
                        "id": "price_1",
                        "currency": "krw",
                        "billing_scheme": "per_unit",
                        "unit_amount": 11000,
                        "unit_amount_decimal": "11000",
                        "recurring": {
                            "interval": "month",
                            "interval_count": 1,
                            "usage_type": "licensed",
                        },
                    },
                }
            ]
        },
    }
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "customer.subscription.created",
        "created": 1767225600,
        "api_version": "2026-06-24.dahlia",
        "livemode": False,
        "data": {"object": subscription},
    }
    body, now = json.dumps(event), int(time.time())
    signed = hmac.new(WEBHOOK_SECRET.encode(), f"{now}.{body}".encode(), "sha256").hexdigest()

    answer = httpx.post(
        f"{tenant.ingest}/webhooks/stripe",
        params={"key": tenant.keys["write"]},
        content=body,
        headers={"stripe-signature": f"t={now},v1={signed}"},
    )
    assert answer.status_code == httpx.codes.OK, answer.text
    assert wait_until(lambda: tenant.mrr_end("2026-01") == "33000", timeout_seconds=AWAIT_SECONDS)
    mapped = httpx.post(
        f"{tenant.ingest}/v1/group",
        json={
            "userId": "u-1",
            "groupId": "acme",
            "messageId": "g-1",
            "traits": {"external_ids": {"stripe": "cus_1"}},
        },
        auth=(tenant.keys["write"], ""),
    )
    assert mapped.is_success, mapped.text

    def accounts() -> list[str]:
        movements = tenant.get("/v1/revenue/movements", **SPAN)["items"]
        return [movement["account"] for movement in movements]

    assert wait_until(lambda: accounts() == ["acme"], timeout_seconds=AWAIT_SECONDS), accounts()
