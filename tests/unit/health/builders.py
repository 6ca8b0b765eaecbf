"""Builders of the events that health folds; each names only what matters to a test."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from services.health.model.score import ActiveDay
from shared.events.base import Envelope, Event, Received, partition_key
from shared.events.ingest import AccountUpserted, UsageTracked, UserIdentified

_numbers = count()


def instant(text: str) -> datetime:
    """`2026-03-01` or `2026-03-01T09:30` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def received(
    event: Event,
    at: datetime | str,
    *,
    account: str | None = "acme",
    workspace: str = "w1",
    event_id: str | None = None,
    synthetic: bool = False,
) -> Received[Any]:
    """`event` as it is read from Kafka."""
    time = instant(at) if isinstance(at, str) else at
    return Received(
        envelope=Envelope(
            specversion="1.0",
            id=event_id or f"default {next(_numbers)}",
            source="default",
            type=event.type,
            time=time,
            workspace=workspace,
            partitionkey=partition_key(workspace, account, "somebody"),
            data=msgspec.Raw(msgspec.json.encode(event)),
            subject=account,
            synthetic=synthetic,
        ),
        event=event,
        topic=event.topic.name,
        partition=0,
        offset=0,
        appended_at=datetime(2026, 6, 1, tzinfo=UTC),
    )


def used(
    at: datetime | str, *, user: str | None = None, feature: str = "reports", **where: Any
) -> Received[Any]:
    """Use of the product."""
    return received(UsageTracked(event="Export", feature=feature, user=user), at, **where)


def upserted(at: str, *, where: dict[str, Any] | None = None, **fields: Any) -> Received[Any]:
    """What was said of an account."""
    return received(AccountUpserted(**fields), at, **(where or {}))


def identified(at: str, *, where: dict[str, Any] | None = None, **fields: Any) -> Received[Any]:
    """What was said of a person."""
    return received(UserIdentified(**fields), at, **(where or {}))


def wire(event: Received[Any]) -> bytes:
    """The event as it stands in Kafka."""
    return msgspec.json.encode(event.envelope)


def active(day: str, at: str = "12:00") -> ActiveDay:
    """An active day whose only event was at `at`."""
    first = instant(f"{day}T{at}")
    return ActiveDay(first.date(), first, first, 1, f"first of {day}")
