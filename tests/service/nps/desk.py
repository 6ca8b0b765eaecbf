"""Events through the real folds into real tables, jobs by hand, and the service's door."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from services.nps.api import router
from services.nps.handlers import LANES
from services.nps.schedule import jobs
from services.nps.settings import NpsSettings
from shared.auth import hashed
from shared.bus import tables
from shared.bus.handlers import apply_folds
from shared.bus.record import outgoing
from shared.db import Database, rows
from shared.events.base import Received
from shared.events.ingest import KeyIssued, WorkspaceConfigured
from shared.service import Service, app_of
from tests.unit.health.builders import instant, received

WORKSPACE = "w1"
NOW = instant("2026-03-02T09:00")
SETTINGS = NpsSettings(DATABASE_URL_NPS="postgresql://unused/unused")


@dataclass
class Desk:
    """The tables of nps, what is applied to them, and what the service answers."""

    database: Database
    app: FastAPI
    http: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)

    async def configure(self, workspace: str = WORKSPACE) -> None:
        """Tell the settings of a workspace, and of a key that may do everything; it is `NOW`."""
        told = WorkspaceConfigured(
            id=workspace,
            name=workspace,
            time_zone="Asia/Seoul",
            reporting_currency="KRW",
            locale="ko",
        )
        key = f"secret of {workspace}"
        issued = KeyIssued(
            key_id=f"k-{workspace}", prefix="k", sha256=hashed(key), scopes=["manage"], source="x"
        )
        await self.apply(*[received(each, NOW, workspace=workspace) for each in (told, issued)])
        self.keys[workspace] = key
        self.set_clock(NOW)

    async def apply(self, *events: Received[Any]) -> None:
        """Apply events in one batch to every lane that wants them."""
        async with self.database.transaction() as tx:
            for lane in LANES:
                caused = await apply_folds(lane.folds, tx, events)
                await tables.append_outbox(tx, [outgoing(each, source="/nps") for each in caused])

    async def run(self, name: str, now: datetime) -> None:
        """Run a job as of `now`."""
        (job,) = [job for job in jobs(SETTINGS) if job.name == name]
        async with self.database.transaction() as tx:
            caused = await job.run(now, tx)
            await tables.append_outbox(tx, [outgoing(each, source="/nps") for each in caused])

    async def ask(
        self, method: str, path: str, *, workspace: str = WORKSPACE, **arguments: Any
    ) -> httpx.Response:
        """What the service answers to who has the key."""
        return await self.http.request(
            method,
            f"/v1{path}",
            headers={"authorization": f"Bearer {self.keys[workspace]}"},
            **arguments,
        )

    async def get(self, path: str, **parameters: Any) -> Any:
        """The same as JSON; it has to be a success."""
        answer = await self.ask("GET", path, params=parameters)
        assert answer.is_success, answer.text
        return answer.json()

    async def invite(self, user: str, *, workspace: str = WORKSPACE, **fields: Any) -> str:
        """The token of a person's link."""
        told = {"user": user, **fields}
        answer = await self.ask("POST", "/invitations", workspace=workspace, json=told)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        token: str = answer.json()["token"]
        return token

    async def say(self, token: str, score: object, **fields: str) -> int:
        """Answer on the page; the status."""
        answer = await self.http.post(f"/s/{token}", data={"score": str(score), **fields})
        return answer.status_code

    async def outbox(self, kind: str) -> list[Any]:
        """The data of the events of a type that wait for the relay, as text."""
        async with self.database.transaction() as tx:
            found = await rows(
                tx,
                "SELECT convert_from(payload, 'UTF8')::json -> 'data' AS said FROM outbox"
                " WHERE convert_from(payload, 'UTF8')::json ->> 'type' = :kind ORDER BY id",
                {"kind": kind},
            )
        return [row.said for row in found]

    def set_clock(self, now: datetime) -> None:
        """Let the service's door believe that it is `now`."""
        self.app.state.clock = lambda: now


def later(**span: int) -> datetime:
    """So much after NOW."""
    return NOW + timedelta(**span)


def door(database: Database) -> FastAPI:
    """The service's own app."""
    return app_of(
        Service(
            name="nps",
            description="",
            settings=SETTINGS,
            routers=(router,),
            database=database,
            lanes=LANES,
        )
    )


def asking(app: FastAPI) -> httpx.AsyncClient:
    """Asks the app without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nps")
