"""The health service as a process on the real stack, and a workspace of its own for every test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.waiting import ask, wait_until
from shared.bus.record import HEADERS
from shared.events.base import Received
from shared.events.ingest import KeyIssued, WorkspaceConfigured
from tests.support.processes import ServiceProcess
from tests.support.stack import TemporaryStack
from tests.unit.health.builders import received, wire

AWAIT_SECONDS = 20.0


async def _send(bootstrap: str, events: Sequence[tuple[str, Received[Any]]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        sent = [
            await producer.send(
                topic, wire(event), key=event.envelope.partitionkey.encode(), headers=HEADERS
            )
            for topic, event in events
        ]
        for acknowledged in sent:
            await acknowledged
    finally:
        await producer.stop()


@dataclass(frozen=True)
class Tenant:
    """A workspace with a read key: sends events to Kafka and asks the service over HTTP."""

    workspace: str
    key: str
    bootstrap: str
    url: str

    def configure(self, *, silence_days: int = 90) -> None:
        """Say the settings of the workspace."""
        settings = WorkspaceConfigured(
            id=self.workspace,
            name=self.workspace,
            time_zone="UTC",
            reporting_currency="EUR",
            locale="en",
            silence_days=silence_days,
        )
        self.send(received(settings, datetime.now(UTC), account=None, workspace=self.workspace))

    def issue_key(self) -> None:
        """Tell of the key, as ingest would."""
        issued = KeyIssued(
            key_id=f"k-{self.workspace}",
            prefix="ms_read",
            sha256=sha256(self.key.encode()).hexdigest(),
            scopes=["read"],
            source="default",
        )
        self.send(received(issued, datetime.now(UTC), account=None, workspace=self.workspace))

    def send(self, *events: Received[Any], topic: str | None = None) -> None:
        """Publish the events to their own topic, or to another lane's."""
        ask(_send(self.bootstrap, [(topic or event.topic, event) for event in events]))

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Ask with the workspace's key."""
        return httpx.get(
            f"{self.url}{path}",
            params=parameters,
            headers={"authorization": f"Bearer {self.key}"},
            timeout=10,
        )

    def events(self, account: str, as_of: str = "2030-01-01") -> int:
        """Events counted for an account in its last 26 weeks; 0 while it is not known."""
        answer = self.get(f"/v1/accounts/{account}", as_of=as_of)
        if answer.status_code != httpx.codes.OK:
            return 0
        return sum(day["events"] for day in answer.json()["usage"]["strip"])

    def wait_for_events(self, account: str, count: int, as_of: str) -> None:
        """Wait until so many events of the account are counted."""
        counted = wait_until(
            lambda: self.events(account, as_of) >= count, timeout_seconds=AWAIT_SECONDS
        )
        assert counted, f"{self.events(account, as_of)} of {count} events are counted"

    def health(self, account: str, as_of: str) -> float | None:
        """The usage score of an account."""
        answer = self.get(f"/v1/accounts/{account}/score", as_of=as_of).json()
        value: float | None = answer["usage_health"]
        return value


@pytest.fixture(scope="module")
def health(stack: TemporaryStack) -> Iterator[ServiceProcess]:
    """The running service on tables of its own."""
    url = stack.fresh_database("health")
    environment = {"DATABASE_URL_HEALTH": url, "KAFKA_BOOTSTRAP": stack.kafka_bootstrap}
    with ServiceProcess("health", environment) as running:
        yield running
    stack.drop_database("health", url)


@pytest.fixture
def new_tenant(stack: TemporaryStack, health: ServiceProcess) -> Any:
    """Makes workspaces that the service knows."""

    def make() -> Tenant:
        name = f"t-{uuid4().hex[:12]}"
        tenant = Tenant(name, f"secret-of-{name}", stack.kafka_bootstrap, health.url)
        tenant.configure()
        tenant.issue_key()
        known = wait_until(
            lambda: tenant.get("/v1/accounts").is_success, timeout_seconds=AWAIT_SECONDS
        )
        assert known, health.last_lines()
        return tenant

    return make


@pytest.fixture
def tenant(new_tenant: Any) -> Tenant:
    """A workspace of its own for this test."""
    made: Tenant = new_tenant()
    return made
