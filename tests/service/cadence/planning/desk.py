"""Folds and planning on real tables: events go in, and what is planned can be looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from services.cadence.handlers import LANES
from services.cadence.schedule.planning import Planner
from services.cadence.settings import LINKS
from shared.bus.handlers import apply_folds
from shared.bus.record import outgoing
from shared.bus.tables import append_outbox
from shared.events.base import Caused, Envelope, Event, Received, partition_key
from shared.events.ingest import AccountUpserted, UserIdentified, WorkspaceConfigured
from shared.zones import Tzdata, packaged
from tests.service.cadence.delivery.office import WORKSPACE, Office

WORDS = dict.fromkeys(LINKS, "https://example.com")
# A Monday, 08:10 in Seoul.
SIGNED_UP = datetime(2026, 3, 1, 23, 10, tzinfo=UTC)
_numbers = count()


def told(
    event: Event,
    at: datetime,
    *,
    account: str | None = "a-1",
    known_after: timedelta = timedelta(),
) -> Received[Any]:
    """`event` as it is read from Kafka, appended so long after it happened."""
    return Received(
        envelope=Envelope(
            specversion="1.0",
            id=f"default {next(_numbers)}",
            source="default",
            type=event.type,
            time=at,
            workspace=WORKSPACE,
            partitionkey=partition_key(WORKSPACE, account, "somebody"),
            data=msgspec.Raw(msgspec.json.encode(event)),
            subject=account,
        ),
        event=event,
        topic=event.topic.name,
        partition=0,
        offset=0,
        appended_at=at + known_after,
    )


def signed_up(
    at: datetime = SIGNED_UP,
    *,
    user: str = "u-1",
    account: str | None = "a-1",
    known_after: timedelta = timedelta(),
    **fields: Any,
) -> Received[Any]:
    """A person who signs up, by name in Seoul."""
    said = {"time_zone": "Asia/Seoul", "personal": _personal(user), **fields}
    return told(UserIdentified(user=user, **said), at, account=account, known_after=known_after)


def member(account: str, at: datetime, *, user: str = "u-1", **fields: Any) -> Received[Any]:
    """What is said of an account, by one of its people."""
    return told(AccountUpserted(user=user, **fields), at, account=account)


def configured(time_zone: str = "UTC") -> Received[Any]:
    """The settings of the workspace."""
    settings = WorkspaceConfigured(
        id=WORKSPACE, name="Acme", time_zone=time_zone, reporting_currency="EUR", locale="en"
    )
    return told(settings, SIGNED_UP - timedelta(days=1), account=None)


def _personal(user: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"email": f"{user}@example.com", "name": "Kim"}))


@dataclass(frozen=True)
class Desk(Office):
    """The tables of a test, with the doors by which events and time come in."""

    async def fold(self, *events: Received[Any]) -> list[Caused]:
        """Apply the events as a consumer would that knows none of them; what they caused."""
        folds = [fold for lane in LANES for fold in lane.folds]
        async with self.database.transaction() as tx:
            return await apply_folds(folds, tx, events)

    async def plan_at(
        self, now: datetime, *, tzdata: Callable[[], Tzdata] = packaged
    ) -> Sequence[Caused]:
        """Plan everybody who is due as of `now`, and queue what is to be told."""
        await self.execute("UPDATE planning SET plan_at = '-infinity' WHERE plan_at <= now()")
        async with self.database.transaction() as tx:
            caused = await Planner(words=WORDS, tzdata=tzdata).turn(now, tx)
            await append_outbox(tx, [outgoing(each, source="/cadence") for each in caused])
        return caused

    async def everybody(self) -> None:
        """Let everybody be planned anew."""
        await self.execute("UPDATE planning SET plan_at = '-infinity'")

    async def messages(self) -> list[tuple[str, str, datetime]]:
        """Every message there is: identity, step, when it is due."""
        found = await self.ask("SELECT identity, step, due_at FROM message ORDER BY due_at, step")
        return [(row.identity, row.step, row.due_at) for row in found]

    async def identities(self) -> list[str]:
        """The identity of every message, in the order in which they are due."""
        return [identity for identity, _, _ in await self.messages()]

    async def end(self, identity: str, state: str = "accepted") -> None:
        """Let a message have come to its end."""
        await self.execute(
            "UPDATE message SET state = :state, attempt = 1, ended_at = due_at"
            " WHERE identity = :identity",
            identity=identity,
            state=state,
        )
