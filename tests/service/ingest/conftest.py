"""The ingest service as a process on the real stack, and a workspace of its own for every test."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.waiting import ask, wait_until
from tests.support.processes import ServiceProcess
from tests.support.stack import TemporaryStack
from tests.support.topics import read_topic

OPERATOR_KEY = "operator-of-the-tests"
KEY_CACHE_SECONDS = 1.0
AWAIT_SECONDS = 20.0


def settings(stack: TemporaryStack, database_url: str) -> dict[str, str]:
    """What an ingest of the tests is told."""
    return {
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "DATABASE_URL_INGEST": database_url,
        "OPERATOR_KEY": OPERATOR_KEY,
        "INGEST_KEY_CACHE_SECONDS": str(KEY_CACHE_SECONDS),
    }


@dataclass(frozen=True)
class Tenant:
    """A workspace with its keys: sends and asks over HTTP, and looks into Kafka."""

    workspace: str
    keys: Mapping[str, str]
    url: str
    bootstrap: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=15))

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send with the write key, where `options` name no other credential."""
        if "headers" not in options and "auth" not in options:
            options["auth"] = (self.keys["write"], "")
        if body is not None:
            options["json"] = body
        return self.http.post(f"{self.url}{path}", **options)

    def batch(self, *events: Mapping[str, Any], path: str = "/v1/batch") -> httpx.Response:
        """Send events in one request."""
        return self.post(path, {"batch": list(events)})

    def get(self, path: str, *, scope: str = "read") -> httpx.Response:
        """Ask with a key of this scope."""
        return self.http.get(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {self.keys[scope]}"}
        )

    def manage(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Change with the manage key."""
        return self.http.request(
            method,
            f"{self.url}/v1/workspaces/{self.workspace}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.keys['manage']}"},
        )

    def receipt(self, message_id: str) -> dict[str, Any]:
        """What became of a message, as soon as it is known."""
        path = f"/v1/receipts/{message_id}"
        known = wait_until(
            lambda: self.get(path).status_code == httpx.codes.OK, timeout_seconds=AWAIT_SECONDS
        )
        assert known, self.get(path).text
        receipt: dict[str, Any] = self.get(path).json()
        return receipt

    def in_topic(self, topic: str) -> list[dict[str, Any]]:
        """What stands in a topic of this workspace."""
        records = ask(read_topic(self.bootstrap, topic))
        return [record for record in records if record["workspace"] == self.workspace]


def create_workspace(url: str, workspace: str, **settings: Any) -> httpx.Response:
    """Ask for a workspace as the operator; `settings` replace what is usual."""
    usual = {
        "id": workspace,
        "name": "Acme",
        "time_zone": "Asia/Seoul",
        "reporting_currency": "KRW",
        "locale": "ko",
        "gross_margin": "0.8",
    }
    return httpx.post(
        f"{url}/v1/workspaces",
        json=usual | settings,
        headers={"Authorization": f"Bearer {OPERATOR_KEY}"},
        timeout=15,
    )


def new_tenant(url: str, stack: TemporaryStack, **settings: Any) -> Tenant:
    """A workspace that nobody else uses."""
    workspace = f"w-{uuid4().hex[:12]}"
    answer = create_workspace(url, workspace, **settings)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return Tenant(workspace, answer.json()["keys"], url, stack.kafka_bootstrap)


@pytest.fixture(scope="session")
def ingest(stack: TemporaryStack) -> Iterator[ServiceProcess]:
    """An ingest for all tests of this folder."""
    database_url = stack.fresh_database("ingest")
    with ServiceProcess("ingest", settings(stack, database_url)) as process:
        yield process
        assert "Traceback" not in process.log.read_text(), process.last_lines()
    stack.drop_database("ingest", database_url)


@pytest.fixture
def tenant(ingest: ServiceProcess, stack: TemporaryStack) -> Tenant:
    """A workspace that no other test uses."""
    return new_tenant(ingest.url, stack)


@pytest.fixture
def another(ingest: ServiceProcess, stack: TemporaryStack) -> Tenant:
    """A second workspace."""
    return new_tenant(ingest.url, stack)


def track(message_id: str, **fields: Any) -> dict[str, Any]:
    """A track event of an account, accepted as it is; `fields` replace its own."""
    return {
        "type": "track",
        "event": "Export",
        "userId": "u-1",
        "messageId": message_id,
        "context": {"groupId": "acme-inc"},
        **fields,
    }
