"""Events that wait for the relay."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from shared.bus.record import Outgoing
from shared.db import Tx, rows


class OutboxRow(NamedTuple):
    """An event that waits for the relay."""

    id: int
    topic: str
    key: str
    payload: bytes


async def append_outbox(tx: Tx, events: Sequence[Outgoing]) -> None:
    """Queue events for the relay, in this order."""
    if not events:
        return
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
        "SELECT id, topic, key, payload FROM outbox"
        " WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, id LIMIT :limit",
        {"limit": limit},
    )
    return [OutboxRow(row.id, row.topic, row.key, bytes(row.payload)) for row in found]


async def delete_outbox(tx: Tx, ids: Sequence[int]) -> None:
    """Forget events that Kafka has acknowledged."""
    await tx.execute(
        text("DELETE FROM outbox WHERE id = ANY(CAST(:ids AS bigint[]))"), {"ids": list(ids)}
    )
