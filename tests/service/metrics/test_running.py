"""metrics as a process on the real stack: from Kafka to answers, and the log folded anew."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.waiting import ask, wait_until
from shared.auth import hashed
from shared.events.base import Received
from shared.events.ingest import KeyIssued, WorkspaceConfigured
from tests.service.metrics.books import said, state
from tests.support.processes import ServiceProcess
from tests.support.rebuilding import ask_database, rebuild
from tests.support.stack import ANY_POISON, TemporaryStack
from tests.support.topics import publish_events
from tests.unit.health.builders import received

AWAIT_SECONDS = 30.0
MONTHS = "/v1/revenue/months?from=2025-01&to=2025-03"


@pytest.fixture(scope="module")
def metrics(stack: TemporaryStack) -> Iterator[ServiceProcess]:
    """The running service on tables of its own."""
    url = stack.fresh_database("metrics")
    environment = {
        "DATABASE_URL_METRICS": url,
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        **ANY_POISON,
        "METRICS_CLOSE_EVERY_SECONDS": "1",
    }
    with ServiceProcess("metrics", environment) as running:
        yield running
    stack.drop_database("metrics", url)


class Tenant:
    """A workspace that the service knows, with a key that may do everything."""

    def __init__(self, stack: TemporaryStack, metrics: ServiceProcess) -> None:
        self.workspace = f"t-{uuid4().hex[:12]}"
        self.stack = stack
        self.metrics = metrics
        self.key = f"secret of {self.workspace}"
        told = WorkspaceConfigured(
            id=self.workspace,
            name=self.workspace,
            time_zone="UTC",
            reporting_currency="EUR",
            locale="en",
        )
        issued = KeyIssued(
            key_id=f"k-{self.workspace}",
            prefix="k",
            sha256=hashed(self.key),
            scopes=["manage"],
            source="x",
        )
        now = datetime.now(UTC)
        self.send(
            *(received(e, now, account=None, workspace=self.workspace) for e in (told, issued))
        )
        assert wait_until(lambda: self.get(MONTHS).is_success, timeout_seconds=AWAIT_SECONDS)

    def send(self, *events: Received[Any]) -> None:
        ask(publish_events(self.stack.kafka_bootstrap, events))

    def send_facts(self, *facts: dict[str, Any]) -> None:
        self.send(
            *(
                said(fact, at="2025-01-01T00:00:00Z", workspace=self.workspace).event
                for fact in facts
            )
        )

    def get(self, path: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.get(f"{self.metrics.url}{path}", headers=headers, timeout=30)

    def mrr_end(self) -> str | None:
        answer = self.get(MONTHS)
        return answer.json()["months"]["2025-03"]["mrr_end"] if answer.is_success else None


@pytest.fixture
def tenant(stack: TemporaryStack, metrics: ServiceProcess) -> Tenant:
    """A workspace of its own for this test."""
    return Tenant(stack, metrics)


def test_a_fact_in_the_log_is_in_the_books_and_is_soon_known_to_be(tenant: Tenant):
    tenant.send_facts(state("acme", "2025-01-05T00:00:00Z", 10000))
    sent = datetime.now(UTC)

    assert wait_until(lambda: tenant.mrr_end() == "10000", timeout_seconds=AWAIT_SECONDS)

    def is_known() -> bool:
        known_until = tenant.get(MONTHS).json()["known_until"]
        return known_until is not None and datetime.fromisoformat(known_until) > sent

    assert wait_until(is_known, timeout_seconds=AWAIT_SECONDS), tenant.get(MONTHS).json()


def test_months_that_are_over_close_by_themselves(tenant: Tenant):
    tenant.send_facts(state("acme", "2025-01-05T00:00:00Z", 10000))

    def closed() -> list[str]:
        items = tenant.get("/v1/revenue/closed-months").json()["items"]
        return [item["month"] for item in items]

    assert wait_until(lambda: closed()[:2] == ["2025-01", "2025-02"], timeout_seconds=60), closed()


def test_a_rebuild_gives_a_subscription_to_the_same_account_whatever_came_first(
    tenant: Tenant, metrics: ServiceProcess
):
    at = "2025-01-05T00:00:00Z"
    claims = [
        said(
            state(f"a{number}", at, 100 + number, name=f"f{number}", subscription="s"),
            at=at,
            recorded_at=f"2025-01-{25 - number:02}T00:00:00Z",
            workspace=tenant.workspace,
        ).event
        for number in range(6)
    ]
    for event in claims:  # each recorded before the ones that came before it
        tenant.send(event)
    assert wait_until(lambda: tenant.mrr_end() == "105", timeout_seconds=AWAIT_SECONDS)

    beside = rebuild(metrics, "--dry-run")

    assert beside.status == 0, beside.said + beside.complained
    refused = tenant.get("/v1/revenue/refused").json()["items"]
    assert [(each["account"], each["owner"]) for each in refused] == [
        (f"a{number}", "a5") for number in range(5)
    ]


def test_a_late_rate_is_told_by_the_running_service_and_not_by_a_rebuild(
    tenant: Tenant, metrics: ServiceProcess
):
    rate = {"type": "fx_rate", "currency": "USD"}
    tenant.send_facts({"id": "r1", "month": "2025-01", "rate": "0.5", **rate})
    tenant.send_facts(state("acme", "2025-01-05T00:00:00Z", 10000, currency="USD"))
    assert wait_until(lambda: tenant.mrr_end() == "5000", timeout_seconds=AWAIT_SECONDS)
    waiting = "SELECT count(*) FROM rate_due"
    assert wait_until(
        lambda: ask_database(metrics, waiting)[0][0] == 0, timeout_seconds=AWAIT_SECONDS
    )
    tenant.send_facts({"id": "r2", "month": "2025-02", "rate": "0.6", **rate})
    assert wait_until(lambda: tenant.mrr_end() == "6000", timeout_seconds=AWAIT_SECONDS)
    assert wait_until(
        lambda: ask_database(metrics, waiting)[0][0] == 0, timeout_seconds=AWAIT_SECONDS
    )

    swapped = rebuild(metrics)

    assert swapped.status == 0, swapped.said + swapped.complained
    assert tenant.mrr_end() == "6000"
    assert ask_database(metrics, waiting)[0][0] == 0
    # What it tells of its progress comes and goes with whatever else is on the log.
    told = ask_database(metrics, "SELECT count(*) FROM outbox WHERE topic = 'metrics.revenue.v1'")
    assert told[0][0] == 0


def test_a_rebuild_finds_the_tables_equal_and_publishes_nothing(
    tenant: Tenant, metrics: ServiceProcess
):
    accounts = [f"a{number}" for number in range(20)]
    tenant.send_facts(
        *(state(a, "2025-01-05T00:00:00Z", 100, ends_at="2025-02-05T00:00:00Z") for a in accounts),
        *(state(a, "2025-01-20T00:00:00Z", 150, name=f"{a}-2") for a in accounts),
        *({"id": f"v-{a}", "type": "void", "target": f"{a}-2"} for a in accounts[:5]),
        state(accounts[0], "2025-01-20T00:00:00Z", 175, name=f"{accounts[0]}-2"),
        state(accounts[0], "2025-01-20T00:00:00Z", 150, name=f"{accounts[0]}-2"),
    )
    wanted = str(15 * 150)
    assert wait_until(lambda: tenant.mrr_end() == wanted, timeout_seconds=AWAIT_SECONDS)
    waiting = "SELECT count(*) FROM outbox"
    assert wait_until(
        lambda: ask_database(metrics, waiting)[0][0] == 0, timeout_seconds=AWAIT_SECONDS
    )

    beside = rebuild(metrics, "--dry-run")
    swapped = rebuild(metrics)

    assert beside.status == 0, beside.said + beside.complained
    assert swapped.status == 0, swapped.said + swapped.complained
    assert tenant.mrr_end() == wanted
    assert ask_database(metrics, "SELECT count(*) FROM step WHERE known_to IS NOT NULL")[0][0] > 0
    metrics.terminate()
    metrics.start()
    metrics.wait_ready()
    tenant.send_facts(state("more", "2025-01-05T00:00:00Z", 7))
    assert wait_until(lambda: tenant.mrr_end() == str(15 * 150 + 7), timeout_seconds=AWAIT_SECONDS)
