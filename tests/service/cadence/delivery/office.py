"""The hand-over on real tables and a real mail server; the world around it is what a test says."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from services.cadence.channels.outbound import Outbound
from services.cadence.channels.smtp import Patience, Post, Provider
from services.cadence.channels.writing import House
from services.cadence.model.delivery import RetryPolicy
from services.cadence.model.letters import Sender
from services.cadence.schedule.handover import Handover, HandoverPolicy
from shared.db import Database, rows

WORKSPACE = "acme"
SECRETS = ("secret-of-tests-1",)
SENDER = Sender(
    name="Acme", address="news@acme.test", domain="acme.test", bounces="bounces@acme.test"
)
HOUSE = House(
    public_url="http://127.0.0.1:8003",
    secrets=SECRETS,
    list_sender=SENDER,
    notice_sender=SENDER,
    signer=None,
)
SOON = (0.05, 0.05)
SHORT = Patience(connect=2.0, command=5.0, letter=0.7)


def provider(port: int, name: str = "a") -> Provider:
    """A provider on this machine."""
    return Provider(name=name, host="127.0.0.1", port=port)


@dataclass(frozen=True)
class Office:
    """The tables of a test, and what it does with them."""

    database: Database

    def handover(
        self,
        *providers: Provider,
        house: House = HOUSE,
        outbound: Outbound | None = None,
        **policy: Any,
    ) -> Handover:
        """A hand-over as a process would have one, impatient."""
        bounds = {"retry": RetryPolicy(waits_seconds=SOON), "look_seconds": 0.05, **policy}
        return Handover(
            database=self.database,
            post=Post(providers, SHORT),
            outbound=outbound or Outbound(),
            house=house,
            policy=HandoverPolicy(**bounds),
        )

    async def person(self, user: str = "u-1", **fields: Any) -> str:
        """A person who can be written to; their address."""
        known = {
            "email": f"{user}@example.com",
            "name": "Kim",
            "locale": "en",
            "channels": None,
            "churned_at": None,
            "removed_at": None,
            **fields,
        }
        await self.execute(
            "INSERT INTO person (workspace, user_id, account, email, name, locale, channels,"
            " churned_at, removed_at) VALUES (:workspace, :user, 'a-1', :email, :name, :locale,"
            " :channels, :churned_at, :removed_at)",
            workspace=WORKSPACE,
            user=user,
            **known,
        )
        return str(known["email"])

    async def plan(self, user: str = "u-1", **fields: Any) -> str:
        """A message that is due now; its identity."""
        row = {
            "workspace": WORKSPACE,
            "identity": f"weekly-course/{user}/2026-03-02",
            "program": "weekly-course",
            "step": "course-1",
            "template": "course-1",
            "channels": ["email"],
            "purpose": "onboarding",
            "topic": "onboarding",
            "due_in": timedelta(0),
            "deadline_in": None,
            "facts": '{"guide_url": "https://example.com/guide"}',
            **fields,
        }
        await self.execute(
            "INSERT INTO message (workspace, identity, user_id, account, program, step, template,"
            " channels, pillar, purpose, topic, occurrence_at, due_at, try_at, deadline, zone,"
            " zone_source, tzdata, facts) VALUES (:workspace, :identity, :user, 'a-1', :program,"
            " :step, :template, :channels, 'onboarding', :purpose, :topic,"
            " now() + CAST(:due_in AS interval), now() + CAST(:due_in AS interval),"
            " now() + CAST(:due_in AS interval), now() + CAST(:deadline_in AS interval), 'UTC',"
            " 'default', '2026f', CAST(:facts AS jsonb))",
            **row,
            user=user,
        )
        return str(row["identity"])

    async def execute(self, sql: str, **arguments: Any) -> None:
        """Run one statement."""
        async with self.database.transaction() as tx:
            await tx.execute(text(sql), arguments)

    async def ask(self, sql: str, **arguments: Any) -> Sequence[Any]:
        """The rows that `sql` answers."""
        async with self.database.transaction() as tx:
            return await rows(tx, sql, arguments)

    async def state(self, identity: str) -> Any:
        """The row of a message."""
        (row,) = await self.ask(
            "SELECT * FROM message WHERE identity = :identity", identity=identity
        )
        return row

    async def told(self) -> list[str]:
        """The types of the events that were queued, in order."""
        queued = await self.ask(
            "SELECT convert_from(payload, 'UTF8')::jsonb->>'type' AS type FROM outbox ORDER BY id"
        )
        return [row.type.removeprefix("cadence.").removesuffix(".v1") for row in queued]

    async def until(self, identity: str, *states: str, seconds: float = 20.0) -> Any:
        """The row of a message once it is in one of these states."""
        async with asyncio.timeout(seconds):
            while (row := await self.state(identity)).state not in states:
                await asyncio.sleep(0.03)
        return row


async def work(handover: Handover, until: Any) -> Any:
    """Let it run until `until` has come about; what that answers."""
    stopping = asyncio.Event()
    running = asyncio.create_task(handover.run(stopping))
    try:
        return await until
    finally:
        stopping.set()
        await running


async def now_of(office: Office) -> datetime:
    """The database's clock."""
    (row,) = await office.ask("SELECT now() AS now")
    moment: datetime = row.now
    return moment
