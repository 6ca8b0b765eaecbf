"""All SQL of the runtime: offsets, inbox, outbox, dead letters, leases. Nothing here commits."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from sqlalchemy import text

from shared.bus.record import Outgoing, Partition, Record
from shared.bus.slices import Span
from shared.db import Tx, drop_day_partitions, ensure_day_partition, rows
from shared.errors import MainstayError
from shared.events.base import Envelope, Received

# How long ids of live events are remembered, days. Longer than any client retries or a relay is
# down; a repeat that comes later still is flagged as late, not dropped.
DEDUP_WINDOW_DAYS = 30

RUNTIME_TABLES_V1 = (
    """CREATE TABLE consumer_offset (
        grp text NOT NULL,
        topic text NOT NULL,
        part integer NOT NULL,
        next_offset bigint NOT NULL CHECK (next_offset >= 0),
        owner text NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (grp, topic, part))""",
    # Partitioned by day of append: random ids stay cheap to insert, and forgetting is a DROP.
    """CREATE TABLE inbox (
        day date NOT NULL,
        id bytea NOT NULL,
        PRIMARY KEY (day, id)) PARTITION BY RANGE (day)""",
    "CREATE TABLE inbox_kept (id bytea PRIMARY KEY)",
    """CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        event_id text NOT NULL,
        topic text NOT NULL,
        key text NOT NULL,
        payload bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX outbox_order ON outbox (xid, id)",
    """CREATE TABLE dead_letter (
        id uuid PRIMARY KEY,
        workspace text,
        event_id text,
        event_type text,
        lane text NOT NULL,
        topic text NOT NULL,
        part integer NOT NULL,
        "offset" bigint NOT NULL,
        key bytea,
        value bytea,
        headers jsonb NOT NULL,
        code text NOT NULL,
        message text NOT NULL,
        dead_at timestamptz NOT NULL DEFAULT now(),
        redriven_at timestamptz,
        redriven_by text,
        UNIQUE (lane, topic, part, "offset"))""",
    "CREATE INDEX dead_letter_of_workspace ON dead_letter (workspace, dead_at)",
    """CREATE TABLE lease (
        name text PRIMARY KEY,
        holder text NOT NULL,
        fence bigint NOT NULL,
        lease_until timestamptz NOT NULL,
        due_at timestamptz NOT NULL DEFAULT now())""",
)


class Fenced(MainstayError):
    """Another process has passed the offset: this batch is not ours to apply."""

    code = "fenced"


class DeadLetter(NamedTuple):
    """A record that is given up, with the reason."""

    id: str
    record: Record
    envelope: Envelope | None
    code: str
    message: str


class OutboxRow(NamedTuple):
    """An event that waits for the relay."""

    id: int
    topic: str
    key: str
    payload: bytes


def dead_letter(
    record: Record, envelope: Envelope | None, *, code: str, message: str
) -> DeadLetter:
    """A new dead letter for `record`. The message is cut at 2,000 characters."""
    return DeadLetter(str(uuid4()), record, envelope, code, message[:2000])


# --- offsets -----------------------------------------------------------------------------------


async def get_offsets(
    tx: Tx, group: str, partitions: Collection[Partition]
) -> dict[Partition, int]:
    """The next offset of each partition of `group` that has one."""
    found = await rows(
        tx,
        "SELECT topic, part, next_offset FROM consumer_offset WHERE grp = :grp",
        {"grp": group},
    )
    known = {Partition(row.topic, row.part): row.next_offset for row in found}
    return {partition: known[partition] for partition in partitions if partition in known}


async def create_offsets(
    tx: Tx, group: str, starts: Mapping[Partition, int], *, owner: str
) -> None:
    """Begin partitions at an explicit offset; one that has begun already stays as it is."""
    await tx.execute(
        text(
            "INSERT INTO consumer_offset (grp, topic, part, next_offset, owner)"
            " SELECT :grp, topic, part, start, :owner FROM"
            " unnest(CAST(:topics AS text[]), CAST(:parts AS integer[]), CAST(:starts AS bigint[]))"
            " AS u(topic, part, start) ON CONFLICT DO NOTHING"
        ),
        {
            "grp": group,
            "owner": owner,
            "topics": [partition.topic for partition in starts],
            "parts": [partition.number for partition in starts],
            "starts": list(starts.values()),
        },
    )


async def advance_offsets(
    tx: Tx, group: str, spans: Mapping[Partition, Span], *, owner: str
) -> datetime:
    """Move every partition from start to end, and nothing else: the first statement of a batch.

    The row locks it takes put zombies in line: whoever comes second moves no row. Answers the
    transaction's time. Raises Fenced when some partition does not stand at its start.
    """
    ordered = sorted(spans.items())
    moved = await rows(
        tx,
        "UPDATE consumer_offset o SET next_offset = u.finish, owner = :owner, updated_at = now()"
        " FROM (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:parts AS integer[]),"
        " CAST(:starts AS bigint[]), CAST(:ends AS bigint[])) AS u(topic, part, start, finish)) u"
        " WHERE o.grp = :grp AND o.topic = u.topic AND o.part = u.part"
        " AND o.next_offset = u.start RETURNING now() AS at",
        {
            "grp": group,
            "owner": owner,
            "topics": [partition.topic for partition, _ in ordered],
            "parts": [partition.number for partition, _ in ordered],
            "starts": [span.start for _, span in ordered],
            "ends": [span.end for _, span in ordered],
        },
    )
    if len(moved) != len(ordered):
        raise Fenced(f"{len(ordered) - len(moved)} of {len(ordered)} partitions have moved on")
    at: datetime = moved[0].at
    return at


# --- inbox -------------------------------------------------------------------------------------


def inbox_id(workspace: str, event_id: str) -> bytes:
    """16 bytes that stand for an event id within its workspace."""
    return blake2b(f"{workspace} {event_id}".encode(), digest_size=16).digest()


def probe_since(received: Received[Any]) -> date:
    """First day on which an earlier copy of this event may have been recorded.

    No copy was recorded before the event happened; one day is left for clocks that differ.
    Where the time is not the client's own, the whole window has to be looked at.
    """
    window = received.appended_at.date() - timedelta(days=DEDUP_WINDOW_DAYS)
    if received.envelope.originaltime is None or received.envelope.warnings:
        return window
    return max(window, received.envelope.time.date() - timedelta(days=1))


async def claim_ids(tx: Tx, batch: Sequence[Received[Any]], *, keep: bool) -> list[Received[Any]]:
    """Those of `batch` whose id was never applied before, each once, in order; claimed by this.

    `keep` remembers the ids for ever (the history lane) instead of for the window.
    """
    if not batch:
        return []
    first: dict[bytes, Received[Any]] = {}
    for received in batch:
        first.setdefault(inbox_id(received.envelope.workspace, received.envelope.id), received)
    await _lock_partition_numbers(tx, {received.partition for received in batch})
    by_day: dict[date, list[bytes]] = {}
    for key, received in first.items():
        by_day.setdefault(received.appended_at.date(), []).append(key)
    fresh: set[bytes] = set()
    for day, ids in sorted(by_day.items()):
        since = min(probe_since(first[key]) for key in ids)
        fresh.update(await _claim_day(tx, day, ids, since=since, keep=keep))
    # In arrival order: RETURNING answers in any.
    return [received for key, received in first.items() if key in fresh]


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


async def _claim_day(
    tx: Tx, day: date, ids: Sequence[bytes], *, since: date, keep: bool
) -> Sequence[bytes]:
    """The ids that are new, claimed. Counting first is 5 us an id cheaper than RETURNING."""
    target = "inbox_kept (id) SELECT u.id" if keep else "inbox (day, id) SELECT :day, u.id"
    statement = (
        f"INSERT INTO {target} FROM unnest(CAST(:ids AS bytea[])) AS u(id)"
        " WHERE NOT EXISTS (SELECT FROM inbox i"
        "   WHERE i.id = u.id AND i.day BETWEEN :since AND :day)"
        " AND NOT EXISTS (SELECT FROM inbox_kept k WHERE k.id = u.id)"
        " ON CONFLICT DO NOTHING"
    )
    arguments = {"day": day, "ids": list(ids), "since": since}
    async with tx.begin_nested() as attempt:
        claimed = (await tx.execute(text(statement), arguments)).rowcount
        if claimed == len(ids):
            return ids
        await attempt.rollback()
    return [row.id for row in await rows(tx, statement + " RETURNING id", arguments)]


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


# --- outbox ------------------------------------------------------------------------------------


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


# --- dead letters ------------------------------------------------------------------------------


async def append_dead_letters(tx: Tx, lane: str, letters: Sequence[DeadLetter]) -> None:
    """Keep records that are given up, in the transaction that passes their offset."""
    for letter in letters:
        envelope, record = letter.envelope, letter.record
        await tx.execute(
            text(
                "INSERT INTO dead_letter (id, workspace, event_id, event_type, lane, topic, part,"
                ' "offset", key, value, headers, code, message)'
                " VALUES (CAST(:id AS uuid), :workspace, :event_id, :event_type, :lane, :topic,"
                " :part, :offset, :key, :value, CAST(:headers AS jsonb), :code, :message)"
                " ON CONFLICT DO NOTHING"
            ),
            {
                "id": letter.id,
                "workspace": envelope.workspace if envelope else _workspace_of_key(record),
                "event_id": envelope.id if envelope else None,
                "event_type": envelope.type if envelope else None,
                "lane": lane,
                "topic": record.topic,
                "part": record.partition,
                "offset": record.offset,
                "key": record.key,
                "value": record.value,
                "headers": _headers_json(record),
                "code": letter.code,
                "message": letter.message.replace("\x00", ""),
            },
        )


def _workspace_of_key(record: Record) -> str | None:
    """The workspace that a broken record belongs to: its key begins with it."""
    return (record.key or b"").decode("utf-8", "replace").partition("/")[0] or None


async def list_dead_letters(
    tx: Tx, workspace: str, *, after: tuple[datetime, str] | None, limit: int
) -> list[Any]:
    """Dead letters of a workspace, newest first; behind the one of this time and id if given."""
    at, letter_id = after or (None, None)
    return await rows(
        tx,
        'SELECT id, event_id, event_type, lane, topic, part, "offset", code, message, value,'
        " dead_at, redriven_at, redriven_by FROM dead_letter"
        " WHERE workspace = :workspace AND (CAST(:at AS timestamptz) IS NULL"
        " OR (dead_at, id) < (:at, CAST(:id AS uuid))) ORDER BY dead_at DESC, id DESC LIMIT :limit",
        {"workspace": workspace, "at": at, "id": letter_id, "limit": limit},
    )


async def load_dead_letter(tx: Tx, letter_id: str) -> Any | None:
    """One dead letter with its record, locked; None when there is none."""
    found = await rows(
        tx,
        'SELECT id, workspace, lane, topic, part AS partition, "offset", key, value, dead_at,'
        " redriven_at FROM dead_letter WHERE id = CAST(:id AS uuid) FOR UPDATE",
        {"id": letter_id},
    )
    return found[0] if found else None


async def save_redriven(tx: Tx, letter_id: str, *, by: str) -> None:
    """Note that a dead letter was applied after all, when and by whom."""
    await tx.execute(
        text(
            "UPDATE dead_letter SET redriven_at = now(), redriven_by = :by"
            " WHERE id = CAST(:id AS uuid)"
        ),
        {"id": letter_id, "by": by},
    )


def _headers_json(record: Record) -> str:
    """The record's headers as a JSON list of pairs; bytes that are no text are shown escaped."""
    pairs = [(name, value.decode("utf-8", "backslashreplace")) for name, value in record.headers]
    return msgspec.json.encode(pairs).decode().replace("\\u0000", "")


# --- leases ------------------------------------------------------------------------------------


async def take_lease(tx: Tx, name: str, *, holder: str, seconds: float) -> int | None:
    """The fence of lease `name`, ours for `seconds` from now; None while another holds it.

    Only the database's clock counts. Whoever took the lease over raised the fence.
    """
    taken = await rows(
        tx,
        "INSERT INTO lease AS l (name, holder, fence, lease_until)"
        " VALUES (:name, :holder, 1, now() + make_interval(secs => :seconds))"
        " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
        " fence = l.fence + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END,"
        " lease_until = excluded.lease_until"
        " WHERE l.holder = excluded.holder OR l.lease_until < now() RETURNING fence",
        {"name": name, "holder": holder, "seconds": seconds},
    )
    return int(taken[0].fence) if taken else None


async def hold_lease(tx: Tx, name: str, *, fence: int) -> None:
    """Lock the lease for this transaction. Raises Fenced when somebody else took it meanwhile."""
    held = await rows(
        tx,
        "SELECT fence FROM lease WHERE name = :name AND fence = :fence FOR UPDATE",
        {"name": name, "fence": fence},
    )
    if not held:
        raise Fenced(f"lease {name} was taken over")


async def is_due(tx: Tx, name: str) -> bool:
    """Whether job lease `name` is due by the database's clock; also when it never ran."""
    found = await rows(
        tx, "SELECT due_at <= now() AS due FROM lease WHERE name = :name", {"name": name}
    )
    return not found or bool(found[0].due)


async def set_due(tx: Tx, name: str, *, in_seconds: float) -> None:
    """Let the job behind lease `name` be due again `in_seconds` from now."""
    await tx.execute(
        text(
            "UPDATE lease SET due_at = now() + make_interval(secs => :seconds) WHERE name = :name"
        ),
        {"name": name, "seconds": in_seconds},
    )
