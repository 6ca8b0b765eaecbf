"""Billing facts through the real road into real tables, and the service's door in front of them.

The log is in memory, so that a test says which fact is appended when and in which batches.
"""

from asyncio import Event
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import httpx
import msgspec
from fastapi import FastAPI

from services.metrics.api import router
from services.metrics.handlers import LANES
from services.metrics.settings import MetricsSettings
from shared.auth import hashed
from shared.bus.consumer import Consumer
from shared.bus.handlers import Lane
from shared.bus.memory import MemoryLog, MemoryReader
from shared.bus.record import Partition
from shared.clock import parse_instant
from shared.db import Database, rows
from shared.events.base import Event as Contract
from shared.events.base import Received
from shared.events.ingest import BillingFactRecorded, KeyIssued, WorkspaceConfigured
from shared.service import Service, app_of
from shared.settings import KafkaSettings
from tests.unit.health.builders import received, wire

PARTITIONS = 3
WORKSPACE = "w1"
_numbers = count()


@dataclass(frozen=True)
class Appended:
    """An event with when the log has it."""

    event: Received[Any]
    at: datetime


def said(
    fact: Mapping[str, Any],
    *,
    at: str | datetime,
    recorded_at: str | None = None,
    workspace: str = WORKSPACE,
) -> Appended:
    """A billing fact, appended at `at`; `recorded_at`: as a manage key said."""
    told = {"source": "native", **fact}
    event = BillingFactRecorded(
        fact=msgspec.Raw(msgspec.json.encode(told)),
        recorded_at=None if recorded_at is None else parse_instant(recorded_at),
    )
    return appended(event, at=at, account=fact.get("account"), workspace=workspace)


def appended(
    event: Contract,
    *,
    at: str | datetime,
    account: str | None = None,
    workspace: str = WORKSPACE,
    time: str | None = None,
) -> Appended:
    """Any event, appended at `at`; it happened then too unless `time` says when."""
    instant = parse_instant(at) if isinstance(at, str) else at
    happened = instant if time is None else parse_instant(time)
    name = f"event {next(_numbers)}"
    return Appended(
        received(event, happened, account=account, workspace=workspace, event_id=name), instant
    )


def state(
    account: str, at: str, mrr: int | str, *, name: str | None = None, **fields: Any
) -> dict[str, Any]:
    """A subscription's state: `mrr` a month from `at` on, in minor units; one a account."""
    return {
        "id": name or f"f{next(_numbers)}",
        "type": "subscription_state",
        "effective_at": at,
        "account": account,
        "subscription": f"s-{account}",
        "status": "active",
        "currency": "EUR",
        "items": [{"price": "p", "interval": "month", "quantity": 1, "unit_amount": str(mrr)}],
        **fields,
    }


@dataclass
class Books:
    """The tables of metrics, what is applied to them, and what the service answers."""

    database: Database
    app: FastAPI
    http: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)
    offsets: dict[Partition, int] = field(default_factory=dict)
    log: MemoryLog = field(default_factory=MemoryLog)

    async def configure(self, workspace: str = WORKSPACE, **settings: Any) -> None:
        """Tell the settings of a workspace, and of a key that may do everything."""
        key = f"secret of {workspace}"
        told = WorkspaceConfigured(
            **{
                "id": workspace,
                "name": workspace,
                "time_zone": "UTC",
                "reporting_currency": "EUR",
                "locale": "en",
                **settings,
            }
        )
        issued = KeyIssued(
            key_id=f"k-{workspace}", prefix="k", sha256=hashed(key), scopes=["manage"], source="x"
        )
        at = "2020-01-01T00:00:00Z"
        events = [appended(event, at=at, workspace=workspace) for event in (told, issued)]
        await self.apply(*events, lane=LANES[0])
        self.keys[workspace] = key

    async def apply(self, *events: Appended, lane: Lane = LANES[1], size: int = 1000) -> None:
        """Append the events and apply all of the lane's that are not applied, `size` at once."""
        for told in events:
            key = told.event.envelope.partitionkey.encode()
            number = sum(key) % PARTITIONS
            self.log.append(
                Partition(told.event.topic, number),
                key=key,
                value=wire(told.event),
                timestamp_ms=int(told.at.timestamp() * 1000),
            )
        topics = {topic.name for topic in lane.topics}
        of_lane = MemoryLog({p: log for p, log in self.log.partitions.items() if p.topic in topics})
        consumer = Consumer(
            service="metrics",
            lane=lane,
            database=self.database,
            reader=MemoryReader(of_lane),
            settings=KafkaSettings(batch_records=size),
            owner="test",
        )
        if of_lane.partitions:
            await consumer.catch_up(Event())

    async def get(self, path: str, *, workspace: str = WORKSPACE, **parameters: Any) -> Any:
        """What the service answers, as JSON; it has to be a success."""
        answer = await self.ask("GET", path, workspace=workspace, params=parameters)
        assert answer.is_success, answer.text
        return answer.json()

    async def ask(
        self, method: str, path: str, *, workspace: str = WORKSPACE, **arguments: Any
    ) -> httpx.Response:
        """What the service answers."""
        return await self.http.request(
            method,
            f"/v1{path}",
            headers={"authorization": f"Bearer {self.keys[workspace]}"},
            **arguments,
        )

    async def months(self, first: str, last: str, **parameters: Any) -> dict[str, Any]:
        """The reports of a span of months."""
        body = await self.get("/revenue/months", **{"from": first, "to": last}, **parameters)
        months: dict[str, Any] = body["months"]
        return months

    def set_clock(self, now: datetime) -> None:
        """Let the service's door believe that it is `now`."""
        self.app.state.clock = lambda: now

    async def rows(self, sql: str, **arguments: Any) -> list[Any]:
        """What stands in the tables."""
        async with self.database.transaction() as tx:
            return await rows(tx, sql, arguments)


def door(database: Database) -> FastAPI:
    """The service's own app."""
    return app_of(
        Service(
            name="metrics",
            description="",
            settings=MetricsSettings(DATABASE_URL_METRICS="postgresql://unused/unused"),
            routers=(router,),
            database=database,
            lanes=LANES,
        )
    )


def asking(app: FastAPI) -> httpx.AsyncClient:
    """Asks the app without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://metrics")
