"""Which event ids were applied: claimed in the transaction that applies them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import text

from shared.db import Tx, drop_day_partitions, ensure_day_partition, rows
from shared.events.base import Received

# How long ids of live events are remembered, days. Longer than any client retries or a relay is
# down; a repeat that comes later still is flagged as late, not dropped.
DEDUP_WINDOW_DAYS = 30
DEDUP_WINDOW = timedelta(days=DEDUP_WINDOW_DAYS)
DAY = timedelta(days=1)


def inbox_id(workspace: str, event_id: str) -> bytes:
    """16 bytes that stand for an event id within its workspace."""
    return blake2b(f"{workspace} {event_id}".encode(), digest_size=16).digest()


def probe_since(received: Received[Any]) -> date:
    """First day on which an earlier copy of this event may have been recorded.

    No copy was recorded before the event happened; one day is left for clocks that differ.
    Where the time is not the client's own, the whole window has to be looked at.
    """
    window = received.appended_at.date() - DEDUP_WINDOW
    envelope = received.envelope
    if envelope.originaltime is None or envelope.warnings:
        return window
    happened = envelope.time.date()
    return window if happened <= window else max(window, happened - DAY)


async def claim_ids(tx: Tx, batch: Sequence[Received[Any]], *, keep: bool) -> list[Received[Any]]:
    """Those of `batch` whose id was never applied before, each once, in order; claimed by this.

    `keep` remembers the ids for ever (the history lane) instead of for the window. Counting first
    is 5 us an id cheaper than RETURNING, which only a batch with repeats has to pay.
    """
    if not batch:
        return []
    first: dict[bytes, Received[Any]] = {}
    for received in batch:
        first.setdefault(inbox_id(received.envelope.workspace, received.envelope.id), received)
    await _lock_partition_numbers(tx, {received.partition for received in batch})
    claims, claim = _claims(first), CLAIM_KEPT if keep else CLAIM
    async with tx.begin_nested() as attempt:
        claimed = [(await tx.execute(text(claim), ids)).rowcount for ids in claims]
        if sum(claimed) == len(first):
            return list(first.values())
        await attempt.rollback()
    fresh = {row.id for ids in claims for row in await rows(tx, f"{claim} RETURNING id", ids)}
    # In arrival order: RETURNING answers in any.
    return [received for key, received in first.items() if key in fresh]


# Scalar subqueries, so that each id is one probe of an index. NOT EXISTS becomes a join, for which
# PostgreSQL reads and hashes all ids of the day again with every batch. What the table itself
# already holds is left to ON CONFLICT.
CLAIM = (
    "INSERT INTO inbox (day, id) SELECT :day, u.id FROM unnest(CAST(:ids AS bytea[])) AS u(id)"
    " WHERE (SELECT true FROM inbox i"
    "   WHERE i.id = u.id AND i.day >= :since AND i.day < :day LIMIT 1) IS NULL"
    " AND (SELECT true FROM inbox_kept k WHERE k.id = u.id) IS NULL ON CONFLICT DO NOTHING"
)
CLAIM_KEPT = (
    "INSERT INTO inbox_kept (id) SELECT u.id FROM unnest(CAST(:ids AS bytea[])) AS u(id)"
    " WHERE (SELECT true FROM inbox i"
    "   WHERE i.id = u.id AND i.day BETWEEN :since AND :day LIMIT 1) IS NULL ON CONFLICT DO NOTHING"
)


def _claims(first: Mapping[bytes, Received[Any]]) -> list[dict[str, Any]]:
    """The ids to claim, those together that are recorded on the same day and looked for alike."""
    alike: dict[tuple[date, date], list[bytes]] = {}
    for key, received in first.items():
        days = received.appended_at.date(), probe_since(received)
        alike.setdefault(days, []).append(key)
    return [{"day": day, "since": since, "ids": ids} for (day, since), ids in sorted(alike.items())]


async def _lock_partition_numbers(tx: Tx, numbers: Collection[int]) -> None:
    """Let the lanes that share keys take turns per partition number, so a repeat meets its first.

    An id keeps its partition number in all usage lanes; without this, two lanes could claim the
    same id at the same moment in two tables.
    """
    await tx.execute(
        text(
            "SELECT pg_advisory_xact_lock(hashtext('inbox'), n)"
            " FROM (SELECT n FROM unnest(CAST(:numbers AS integer[])) AS n ORDER BY n) AS ordered"
        ),
        {"numbers": sorted(numbers)},
    )


async def ensure_inbox_days(tx: Tx, days: Collection[date]) -> None:
    """Make sure the inbox can take ids of these days."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('inbox_days'))"))
    for day in sorted(days):
        await ensure_day_partition(tx, "inbox", day)


async def forget_old_ids(tx: Tx, now: datetime) -> list[str]:
    """Drop the inbox days that lie outside the window; the names of the dropped partitions."""
    # Two days more than the window: the window is counted in append time, which may lag.
    bound = now.date() - timedelta(days=DEDUP_WINDOW_DAYS + 2)
    return await drop_day_partitions(tx, "inbox", before=bound)
