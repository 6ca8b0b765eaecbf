"""What became of each event, how far every service has read, and the events that were refused.

All three are projections of topics. Receipts and progress are partitioned by day, so that
forgetting them is a DROP.
"""

import base64
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from shared.bus.tables import Filters, LetterState, state_of
from shared.db import Tx, drop_day_partitions, ensure_day_partitions, rows
from shared.events.base import Received
from shared.events.ingest import EventRejected
from shared.events.runtime import Progressed

FORGOTTEN_AT_ONCE = 10_000
SHOWN_BYTES = 32 * 1024 + 1  # of a dead letter; one more than the largest event


class Receipt(NamedTuple):
    """What became of one event. `offset` is None while it waits in the spill."""

    status: str
    reason: str | None
    topic: str
    partition: int
    offset: int | None


class SpilledReceipt(NamedTuple):
    """An event that stands in the spill, and where it will stand in Kafka."""

    workspace: str
    message_id: str
    topic: str
    partition: int


class DeadLetterItem(NamedTuple):
    """A record that a lane of ingest gave up, or an event that the edge refused."""

    id: str
    kind: str
    state: LetterState
    message_id: str | None
    lane: str | None
    event_type: str | None
    code: str
    message: str
    at: datetime
    source: bytes


class Place(NamedTuple):
    """Where a page of dead letters begins: behind this one."""

    at: datetime
    id: str


def receipt_id(workspace: str, message_id: str) -> bytes:
    """16 bytes that stand for a message id within its workspace."""
    return blake2b(f"{workspace} {message_id}".encode(), digest_size=16).digest()


# --- folds ---------------------------------------------------------------------------------------


async def append_receipts(tx: Tx, batch: Sequence[Received[Any]]) -> None:
    """Note where each event stands. What was accepted stays so, whatever comes after it.

    Of several copies the first by append time is noted, in whatever order they come here: so a
    rebuild, which reads topics side by side in another order, notes the same.
    """
    first: dict[tuple[date, bytes], Received[Any]] = {}
    for received in batch:
        envelope = received.envelope
        if envelope.messageid is not None:
            day = received.appended_at.date()
            place = (day, receipt_id(envelope.workspace, envelope.messageid))
            known = first.get(place)
            if known is None or _order(received) < _order(known):
                first[place] = received
    if not first:
        return
    await ensure_day_partitions(tx, "receipt", {day for day, _ in first})
    await tx.execute(
        text(
            "INSERT INTO receipt AS r (day, id, workspace, event_id, status, reason, topic, part,"
            ' "offset", appended_at)'
            " SELECT day, id, workspace, event_id, CASE WHEN reason IS NULL THEN 'accepted'"
            " ELSE 'rejected' END, reason, topic, part, \"offset\", appended_at FROM"
            " unnest(CAST(:days AS date[]), CAST(:ids AS bytea[]), CAST(:workspaces AS text[]),"
            " CAST(:event_ids AS text[]), CAST(:reasons AS text[]), CAST(:topics AS text[]),"
            " CAST(:parts AS integer[]), CAST(:offsets AS bigint[]),"
            " CAST(:appended AS timestamptz[])) AS u(day, id, workspace, event_id, reason, topic,"
            ' part, "offset", appended_at)'
            " ON CONFLICT (id, day) DO UPDATE SET event_id = excluded.event_id,"
            " status = excluded.status, reason = excluded.reason, topic = excluded.topic,"
            ' part = excluded.part, "offset" = excluded."offset",'
            " appended_at = excluded.appended_at"
            " WHERE (excluded.status = 'rejected', excluded.appended_at,"
            ' excluded.topic COLLATE "C", excluded.part, excluded."offset")'
            " < (r.status = 'rejected', r.appended_at, r.topic, r.part, r.\"offset\")"
        ),
        {
            "days": [day for day, _ in first],
            "ids": [id_ for _, id_ in first],
            "workspaces": [received.envelope.workspace for received in first.values()],
            "event_ids": [received.envelope.id for received in first.values()],
            "reasons": [_reason(received) for received in first.values()],
            "topics": [received.topic for received in first.values()],
            "parts": [received.partition for received in first.values()],
            "offsets": [received.offset for received in first.values()],
            "appended": [received.appended_at for received in first.values()],
        },
    )


def _is_rejected(received: Received[Any]) -> bool:
    return isinstance(received.event, EventRejected)


def _order(received: Received[Any]) -> tuple[bool, datetime, str, int, int]:
    """Which of two copies counts: an accepted one, then the one that was appended first."""
    place = (received.appended_at, received.topic, received.partition, received.offset)
    return _is_rejected(received), *place


def _reason(received: Received[Any]) -> str | None:
    event = received.event
    return event.code if isinstance(event, EventRejected) else None


async def append_rejected(tx: Tx, batch: Sequence[Received[EventRejected]]) -> None:
    """Keep refused events with their bytes; the same one again changes nothing."""
    await tx.execute(
        text(
            "INSERT INTO rejected_event (id, workspace, message_id, code, message, key_id,"
            " dialect, source, rejected_at)"
            " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:workspaces AS text[]),"
            " CAST(:message_ids AS text[]), CAST(:codes AS text[]), CAST(:messages AS text[]),"
            " CAST(:key_ids AS text[]), CAST(:dialects AS text[]), CAST(:sources AS bytea[]),"
            " CAST(:times AS timestamptz[])) ON CONFLICT DO NOTHING"
        ),
        {
            "ids": [received.envelope.id for received in batch],
            "workspaces": [received.envelope.workspace for received in batch],
            "message_ids": [received.event.messageid for received in batch],
            "codes": [received.event.code for received in batch],
            "messages": [received.event.message for received in batch],
            "key_ids": [received.event.key_id for received in batch],
            "dialects": [received.event.dialect for received in batch],
            "sources": [base64.b64decode(received.event.bytes) for received in batch],
            "times": [received.envelope.time for received in batch],
        },
    )


async def append_spilled(tx: Tx, spilled: Sequence[SpilledReceipt]) -> None:
    """Note events that wait in the spill. No projection: told by the edge that has them."""
    await tx.execute(
        text(
            "INSERT INTO spilled_receipt (id, workspace, topic, part, spilled_at)"
            " SELECT DISTINCT ON (id) id, workspace, topic, part, now() FROM"
            " unnest(CAST(:ids AS bytea[]), CAST(:workspaces AS text[]), CAST(:topics AS text[]),"
            " CAST(:parts AS integer[])) AS u(id, workspace, topic, part)"
            " ORDER BY id ON CONFLICT DO NOTHING"
        ),
        {
            "ids": [receipt_id(one.workspace, one.message_id) for one in spilled],
            "workspaces": [one.workspace for one in spilled],
            "topics": [one.topic for one in spilled],
            "parts": [one.partition for one in spilled],
        },
    )


async def append_progress(tx: Tx, batch: Sequence[Received[Progressed]]) -> None:
    """Note how far services have read. A step back (a rebuild) is left out: the first time counts.

    The service is the one whose runtime topic it stands in.
    """
    steps = _forward_only(batch)
    await ensure_day_partitions(tx, "progress", {at.date() for at in steps.values()})
    await tx.execute(
        text(
            "INSERT INTO progress (day, service, topic, part, next_offset, at)"
            " SELECT * FROM unnest(CAST(:days AS date[]), CAST(:services AS text[]),"
            " CAST(:topics AS text[]), CAST(:parts AS integer[]), CAST(:offsets AS bigint[]),"
            " CAST(:times AS timestamptz[])) AS u(day, service, topic, part, next_offset, at)"
            " WHERE NOT EXISTS (SELECT FROM progress p WHERE p.service = u.service"
            "   AND p.topic = u.topic AND p.part = u.part AND p.next_offset >= u.next_offset)"
            " ON CONFLICT DO NOTHING"
        ),
        {
            "days": [at.date() for at in steps.values()],
            "services": [service for service, _, _, _ in steps],
            "topics": [topic for _, topic, _, _ in steps],
            "parts": [part for _, _, part, _ in steps],
            "offsets": [offset for _, _, _, offset in steps],
            "times": list(steps.values()),
        },
    )


def _forward_only(
    batch: Sequence[Received[Progressed]],
) -> dict[tuple[str, str, int, int], datetime]:
    """When each service had read how far; without steps back, which the first time counts for."""
    furthest: dict[tuple[str, str, int], int] = {}
    steps: dict[tuple[str, str, int, int], datetime] = {}
    for received in batch:
        step = received.event
        where = (_service(received), step.read_topic, step.partition)
        if step.next_offset > furthest.get(where, -1):
            furthest[where] = step.next_offset
            steps[*where, step.next_offset] = step.at
    return steps


def _service(received: Received[Any]) -> str:
    return received.topic.partition(".")[0]


# --- reads ---------------------------------------------------------------------------------------


async def get_receipt(tx: Tx, workspace: str, message_id: str) -> Receipt | None:
    """What became of an event: its acceptance before any refusal, the first before any repeat.

    What the edge told of its spill counts only until Kafka has the event.
    """
    found = await rows(
        tx,
        'SELECT status, reason, topic, part, "offset" FROM'
        ' (SELECT status, reason, topic, part, "offset", appended_at AS at'
        "  FROM receipt WHERE id = :id UNION ALL"
        "  SELECT 'spilled', NULL, topic, part, NULL, spilled_at"
        "  FROM spilled_receipt WHERE id = :id) AS told"
        " ORDER BY status = 'accepted' DESC, status = 'rejected' DESC, at LIMIT 1",
        {"id": receipt_id(workspace, message_id)},
    )
    return Receipt(*found[0]) if found else None


async def list_processed(
    tx: Tx, receipt: Receipt, services: Collection[str]
) -> dict[str, datetime]:
    """When each of `services` that reads the topic first stood behind the event."""
    found = await rows(
        tx,
        "SELECT s.service, first.at FROM unnest(CAST(:services AS text[])) AS s(service)"
        " CROSS JOIN LATERAL (SELECT p.at FROM progress p WHERE p.service = s.service"
        "   AND p.topic = :topic AND p.part = :part AND p.next_offset > :offset"
        "   ORDER BY p.next_offset LIMIT 1) AS first ORDER BY s.service",
        {
            "services": sorted(services),
            "topic": receipt.topic,
            "part": receipt.partition,
            "offset": receipt.offset,
        },
    )
    return {row.service: row.at for row in found}


async def list_newest_ids(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """Workspace and event id of the newest accepted events, oldest first, `limit` at most."""
    found = await rows(
        tx,
        "SELECT workspace, event_id FROM receipt WHERE status = 'accepted'"
        " ORDER BY appended_at DESC LIMIT :limit",
        {"limit": limit},
    )
    return [(row.workspace, row.event_id) for row in reversed(found)]


# What was refused and what was given up, under the names that filters know.
_LETTERS = (
    " FROM (SELECT workspace, id, 'rejected' AS kind, message_id, code, message,"
    " rejected_at AS dead_at, source, CAST(NULL AS text) AS lane, CAST(NULL AS text) AS event_type,"
    " CAST(NULL AS timestamptz) AS redriven_at, CAST(NULL AS timestamptz) AS discarded_at"
    " FROM rejected_event UNION ALL"
    " SELECT workspace, id, 'dead_letter', NULL, code, message, dead_at, value, lane, event_type,"
    " redriven_at, discarded_at FROM dead_letter) AS letter"
)


async def list_dead_letters(
    tx: Tx, workspace: str, filters: Filters, *, after: Place | None, limit: int
) -> list[DeadLetterItem]:
    """Refused events and dead letters of a workspace, the newest first, `limit` at most.

    A refused event has no lane and no type, and stays open.
    """
    conditions = ["workspace = :workspace", *filters.conditions()]
    arguments = filters.arguments() | {"workspace": workspace, "limit": limit}
    if after is not None:
        conditions.append("(dead_at, id) < (:after_at, CAST(:after_id AS uuid))")
        arguments |= {"after_at": after.at, "after_id": after.id}
    found = await rows(
        tx,
        "SELECT id, kind, message_id, code, message, dead_at, lane, event_type, redriven_at,"
        f" discarded_at, substring(source FOR {SHOWN_BYTES}) AS source{_LETTERS}"
        f" WHERE {' AND '.join(conditions)} ORDER BY dead_at DESC, id DESC LIMIT :limit",
        arguments,
    )
    return [_item(row) for row in found]


async def get_dead_letter(tx: Tx, workspace: str, letter_id: UUID) -> DeadLetterItem | None:
    """One refused event or dead letter of the workspace, whole."""
    found = await rows(
        tx,
        "SELECT id, kind, message_id, code, message, dead_at, lane, event_type, redriven_at,"
        f" discarded_at, source{_LETTERS} WHERE workspace = :workspace AND id = :id",
        {"workspace": workspace, "id": letter_id},
    )
    return _item(found[0]) if found else None


def _item(row: Any) -> DeadLetterItem:
    return DeadLetterItem(
        id=str(row.id),
        kind=row.kind,
        state=state_of(row),
        message_id=row.message_id,
        lane=row.lane,
        event_type=row.event_type,
        code=row.code,
        message=row.message,
        at=row.dead_at,
        source=bytes(row.source or b""),
    )


# --- forgetting ----------------------------------------------------------------------------------


async def forget_receipts(tx: Tx, now: datetime, *, days: int) -> None:
    """Drop receipts and progress older than `days`."""
    bound = now.date() - timedelta(days=days)
    for table in ("receipt", "progress"):
        await drop_day_partitions(tx, table, before=bound)


async def forget_spilled(tx: Tx, now: datetime, *, days: int) -> None:
    """Delete what the spill was noted for and Kafka has by now, some thousands a run."""
    await tx.execute(
        text(
            "DELETE FROM spilled_receipt WHERE id IN (SELECT id FROM spilled_receipt s"
            " WHERE spilled_at < :bound OR EXISTS (SELECT FROM receipt r WHERE r.id = s.id)"
            " ORDER BY spilled_at LIMIT :limit)"
        ),
        {"bound": now - timedelta(days=days), "limit": FORGOTTEN_AT_ONCE},
    )


async def forget_rejected(tx: Tx, now: datetime, *, days: int) -> None:
    """Delete refused events older than `days`, some thousands a run."""
    await tx.execute(
        text(
            "DELETE FROM rejected_event WHERE id IN (SELECT id FROM rejected_event"
            " WHERE rejected_at < :bound ORDER BY rejected_at LIMIT :limit)"
        ),
        {"bound": now - timedelta(days=days), "limit": FORGOTTEN_AT_ONCE},
    )
