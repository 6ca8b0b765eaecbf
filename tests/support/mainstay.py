"""Ingest and health as processes on the real stack, and what a product backend does with them."""

import csv
import io
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from deploy.local.waiting import wait_until
from tests.support.processes import ServiceProcess
from tests.support.stack import TemporaryStack

OPERATOR_KEY = "operator-key-of-the-tests"


@dataclass(frozen=True)
class Tenant:
    """A workspace with its keys."""

    workspace: str
    write: str
    read: str
    manage: str


@dataclass(frozen=True)
class Mainstay:
    """The running system, seen from outside."""

    ingest: ServiceProcess
    health: ServiceProcess
    http: httpx.Client

    def new_tenant(self, **settings: Any) -> Tenant:
        """A fresh workspace whose keys work in every service."""
        workspace = f"t-{secrets.token_hex(6)}"
        answer = self.http.post(
            f"{self.ingest.url}/v1/workspaces",
            headers={"authorization": f"Bearer {OPERATOR_KEY}"},
            json={
                "id": workspace,
                "name": "Tenant",
                "time_zone": "Asia/Seoul",
                "reporting_currency": "KRW",
                "locale": "ko",
                "gross_margin": "0.8",
                **settings,
            },
        )
        assert answer.status_code == httpx.codes.CREATED, answer.text
        tenant = Tenant(workspace, **answer.json()["keys"])
        wait_until(
            lambda: self.get(tenant, "/v1/accounts").status_code == httpx.codes.OK,
            timeout_seconds=10,
        )
        return tenant

    def send(
        self, tenant: Tenant, events: Sequence[Mapping[str, Any]], *, path: str = "/v1/batch"
    ) -> httpx.Response:
        """What an SDK does: one batch."""
        return self.http.post(
            f"{self.ingest.url}{path}", auth=(tenant.write, ""), json={"batch": list(events)}
        )

    def get(self, tenant: Tenant, path: str, **parameters: Any) -> httpx.Response:
        """What CS tooling does: ask health."""
        return self.http.get(
            f"{self.health.url}{path}",
            headers={"authorization": f"Bearer {tenant.read}"},
            params=parameters,
        )

    def scores(self, tenant: Tenant, as_of: str) -> dict[str, float]:
        """usage_health of every account at an instant, from the CSV."""
        answer = self.get(tenant, "/v1/scores", as_of=as_of, format="csv")
        assert answer.status_code == httpx.codes.OK, answer.text
        return {
            row["account"]: float(row["usage_health"])
            for row in csv.DictReader(io.StringIO(answer.text))
        }

    def await_applied(
        self, tenant: Tenant, message_id: str, *, timeout_seconds: float = 60
    ) -> None:
        """Wait until health has committed the effect of a message, as its receipt tells."""
        wait_until(
            lambda: "health" in self.receipt(tenant, message_id).get("processed_by", {}),
            timeout_seconds=timeout_seconds,
        )
        assert "health" in self.receipt(tenant, message_id)["processed_by"], (
            self.receipt(tenant, message_id),
            self.health.last_lines(),
        )

    def receipt(self, tenant: Tenant, message_id: str) -> dict[str, Any]:
        """The receipt of a message; empty while none is known."""
        answer = self.http.get(
            f"{self.ingest.url}/v1/receipts/{message_id}",
            headers={"authorization": f"Bearer {tenant.read}"},
        )
        receipt: dict[str, Any] = answer.json() if answer.status_code == httpx.codes.OK else {}
        return receipt


@contextmanager
def running_mainstay(stack: TemporaryStack) -> Iterator[Mainstay]:
    """Ingest and health on fresh databases, ready."""
    databases = {name: stack.fresh_database(name) for name in ("ingest", "health")}
    environment = {
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        # Other tests run services on the same Kafka with databases of their own.
        "KAFKA_GROUP_SUFFIX": f".{secrets.token_hex(4)}",
        "OPERATOR_KEY": OPERATOR_KEY,
        **{f"DATABASE_URL_{name.upper()}": url for name, url in databases.items()},
    }
    with ExitStack() as started:
        ingest, health = (
            started.enter_context(ServiceProcess(name, environment)) for name in databases
        )
        http = started.enter_context(httpx.Client(timeout=30, trust_env=False))
        yield Mainstay(ingest, health, http)


def track(
    message_id: str, *, account: str, at: datetime | str | None = None, **fields: Any
) -> dict[str, Any]:
    """A track event of an account."""
    instant = at.isoformat() if isinstance(at, datetime) else at
    return {
        "type": "track",
        "messageId": message_id,
        "userId": fields.pop("user", "u-1"),
        "event": fields.pop("event", "Report Exported"),
        "context": {"groupId": account},
        **({} if instant is None else {"timestamp": instant}),
        **fields,
    }


def environment_of(mainstay: Mainstay, tenant: Tenant) -> dict[str, str]:
    """What a command-line tool needs to talk to this system as this tenant."""
    return {**os.environ, "INGEST_URL": mainstay.ingest.url, "WRITE_KEY": tenant.write}
