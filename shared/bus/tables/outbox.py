"""Events that wait for the relay, by the day on which they were decided."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import ClassVar, NamedTuple

from sqlalchemy import text

from shared.bus.record import Outgoing
from shared.db import Tx, drop_day_partitions, ensure_day_partitions, rows
from shared.errors import PermanentError

# Days that are made ahead: an insert must never miss its day, however long no job has run.
DAYS_AHEAD = 7
# What a topic takes is 1 MiB; key, headers and the batch around a record need some of it.
MOST_BYTES = 1_000_000


class EventTooLarge(PermanentError):
    """An event that no topic takes. Found here, where the cause is at hand, and not by the relay,
    which everything behind it would wait for.
    """

    code: ClassVar[str] = "event_too_large"


class OutboxRow(NamedTuple):
    """An event that waits for the relay."""

    day: date
    id: int
    topic: str
    key: str
    payload: bytes


async def append_outbox(tx: Tx, events: Sequence[Outgoing]) -> None:
    """Queue events for the relay, in this order. Raises EventTooLarge."""
    if not events:
        return
    for event in events:
        if len(event.payload) > MOST_BYTES:
            raise EventTooLarge(f"{len(event.payload)} bytes in {event.topic.name}")
    await tx.execute(
        text(
            "INSERT INTO outbox (event_id, topic, key, payload)"
            " SELECT event_id, topic, key, payload FROM unnest(CAST(:ids AS text[]),"
            " CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:payloads AS bytea[]))"
            " WITH ORDINALITY AS u(event_id, topic, key, payload, n) ORDER BY n"
        ),
        {
            "ids": [event.event_id for event in events],
            "topics": [event.topic.name for event in events],
            "keys": [event.key for event in events],
            "payloads": [event.payload for event in events],
        },
    )


async def list_outbox(tx: Tx, limit: int) -> list[OutboxRow]:
    """The oldest waiting events in commit-safe order, `limit` at most.

    (xid, id) below the snapshot's xmin: ids alone are taken before commit, so a reader that goes
    by id skips events of transactions that commit late.
    """
    found = await rows(
        tx,
        "SELECT day, id, topic, key, payload FROM outbox"
        " WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, id LIMIT :limit",
        {"limit": limit},
    )
    return [OutboxRow(row.day, row.id, row.topic, row.key, bytes(row.payload)) for row in found]


async def delete_outbox(tx: Tx, waiting: Sequence[OutboxRow]) -> None:
    """Forget events that Kafka has acknowledged."""
    await tx.execute(
        text(
            "DELETE FROM outbox o USING unnest(CAST(:days AS date[]), CAST(:ids AS bigint[]))"
            " AS u(day, id) WHERE o.day = u.day AND o.id = u.id"
        ),
        {"days": [row.day for row in waiting], "ids": [row.id for row in waiting]},
    )


async def get_outbox_age(tx: Tx) -> float:
    """Seconds since the oldest event that waits was decided on; 0 when none waits.

    Also of those that the relay must not see yet: a transaction that stays open holds them up.
    """
    found = await rows(
        tx,
        "SELECT extract(epoch FROM now() - min(created_at)) AS age FROM outbox",
    )
    return max(0.0, float(found[0].age or 0.0))


async def ensure_outbox_days(tx: Tx) -> None:
    """Make sure the outbox can take events of today and the days to come, by the database's day."""
    (clock,) = await rows(tx, "SELECT CAST(now() AT TIME ZONE 'UTC' AS date) AS today")
    days = {clock.today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)}
    await ensure_day_partitions(tx, "outbox", days)


async def forget_sent_days(tx: Tx, today: date) -> list[str]:
    """Drop the days before `today` from which nothing waits any more; their partitions' names."""
    found = await rows(tx, "SELECT min(day) AS oldest FROM outbox")
    oldest = found[0].oldest or today
    return await drop_day_partitions(tx, "outbox", before=min(oldest, today - timedelta(days=1)))
