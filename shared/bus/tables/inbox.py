"""Which event ids were applied: claimed in the transaction that applies them, exactly.

Ids stand in blocks, one a batch, partition number and day of append; `SeenIds` caches them. An id
keeps its partition number in all usage lanes, because they share keys and partition counts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import text

from shared.bus.seen import Ids, IdSet, SeenDays, SeenIds, block_of, inbox_id
from shared.db import Tx, ensure_day_partitions, rows
from shared.events.base import Envelope, Received

# How long ids of live events are remembered, days. Longer than any client retries or a relay is
# down; a repeat that comes later still is flagged as late, not dropped.
DEDUP_WINDOW_DAYS = 30
DEDUP_WINDOW = timedelta(days=DEDUP_WINDOW_DAYS)
DAY = timedelta(days=1)
# How far a time may be moved by the client's clock and still say when no copy had come yet: the
# rest of the day that is left is for clocks of ours that differ.
MOST_MOVED = timedelta(hours=12)
BLOCKS_A_PAGE = 1_000  # read at once, of some thousand ids each at most: bounds memory and time
BLOCKS_AT_ONCE = 200  # of ids that are about to be forgotten: bounds memory, not the result


def window_begin(appended_on: date) -> date:
    """First day whose ids are remembered for an event that was appended on `appended_on`."""
    return appended_on - DEDUP_WINDOW


def probe_since(received: Received[Any]) -> date:
    """First day on which an earlier copy of this event may have been recorded.

    No copy was recorded before the event happened; one day is left for clocks that differ.
    Where the time is not the client's own, or lies more than that day ahead of our own clock, it
    says nothing, and the whole window has to be looked at. Nor does it where it was moved far: a
    body that is sent again as it was, days later, says the same of when it was sent, so that its
    events seem to happen days later too.
    """
    appended_on = received.appended_at.date()
    window = window_begin(appended_on)
    envelope = received.envelope
    if envelope.originaltime is None or envelope.warnings or _is_moved_far(envelope):
        return window
    happened = envelope.time.date()
    # In this order: a day less than the first of the calendar is none.
    if happened <= window or happened > appended_on + DAY:
        return window
    return max(window, happened - DAY)


def _is_moved_far(envelope: Envelope) -> bool:
    """Whether the time was corrected by more than it can be to be relied on."""
    return envelope.sentat is not None and _lie_far_apart(envelope.sentat, envelope.recordedtime)


@lru_cache(maxsize=1024)  # all events of a request say the same
def _lie_far_apart(sentat: str, recorded_at: datetime | None) -> bool:
    if recorded_at is None:
        return True
    try:
        sent_at = datetime.fromisoformat(sentat)
    except ValueError:  # a form that only ingest reads
        return True
    if sent_at.tzinfo is None:
        sent_at = sent_at.replace(tzinfo=UTC)
    return abs(recorded_at - sent_at) > MOST_MOVED


def recorded_on(received: Received[Any]) -> date:
    """The day under which an id is found: that of append, or the event's own where that is later.

    Whoever sends an event from the future again once its time has come looks from that day on.
    """
    appended_on = received.appended_at.date()
    happened = received.envelope.time.date()
    return happened if happened - appended_on > DAY else appended_on


class _Alike(NamedTuple):
    """Events that are claimed alike: recorded on one day, and looked for from one day on."""

    part: int
    appended_on: date
    day: date
    since: date

    def table(self, *, keep: bool) -> str:
        """Where their ids are kept. Days to come have no partition in the window."""
        return "inbox_kept" if keep or self.day != self.appended_on else "inbox"


async def claim_ids(
    tx: Tx, batch: Sequence[Received[Any]], *, keep: bool, seen: SeenIds
) -> list[Received[Any]]:
    """Those of `batch` whose id was never applied before, each once, in order; claimed by this.

    `keep` remembers the ids for ever (the history lane) instead of for the window, and looks for
    earlier ones in all of history. At most once in a transaction with the same `seen`: what is
    not committed must not get into a cache.
    """
    if not batch:
        return []
    first: dict[bytes, Received[Any]] = {}
    for received in batch:
        first.setdefault(inbox_id(received.envelope.workspace, received.envelope.id), received)
    alike = _alike(first)
    parts = {group.part for group in alike}
    await _lock_parts(tx, parts, seen)
    await _refresh(tx, "inbox", seen.window, _earliest(alike))
    kept_since = dict.fromkeys(parts, date.min) if keep else _earliest(alike)
    await _refresh(tx, "inbox_kept", seen.kept, kept_since)
    fresh = {group: _unseen(group, ids, seen, keep=keep) for group, ids in alike.items()}
    for table in ("inbox", "inbox_kept"):
        of_table = {g: ids for g, ids in fresh.items() if g.table(keep=keep) == table}
        await _append_blocks(tx, table, of_table)
    seen.keep_within_bounds(parts)
    if all(len(fresh[group]) == len(ids) for group, ids in alike.items()):
        return list(first.values())
    claimed = {id_ for ids in fresh.values() for id_ in ids}
    return [received for id_, received in first.items() if id_ in claimed]


def _alike(first: Mapping[bytes, Received[Any]]) -> dict[_Alike, list[bytes]]:
    """The ids, those together that are claimed alike."""
    # Plain tuples while it looks at every event; named ones cost three times as much to make.
    groups: dict[tuple[int, date, date, date], list[bytes]] = {}
    for id_, received in first.items():
        day = received.appended_at.date()
        key = received.partition, day, recorded_on(received), probe_since(received)
        groups.setdefault(key, []).append(id_)
    return {_Alike(*key): ids for key, ids in groups.items()}


async def _lock_parts(tx: Tx, parts: Collection[int], seen: SeenIds) -> None:
    """Let the lanes that share keys take turns per partition number, so a repeat meets its first.

    Without this, two lanes could claim the same id at the same moment. Each schema has its own
    locks, so that a rebuild holds up nobody.
    """
    found = await rows(
        tx,
        "SELECT to_regclass('inbox')::oid AS inbox,"
        " pg_advisory_xact_lock(hashtext(current_schema() || '.inbox'), n)"
        " FROM (SELECT n FROM unnest(CAST(:parts AS integer[])) AS n ORDER BY n) AS ordered",
        {"parts": sorted(parts)},
    )
    seen.of_table(int(found[0].inbox))


def _earliest(groups: Iterable[_Alike]) -> dict[int, date]:
    """The first day that anyone asks for, of each partition number."""
    earliest: dict[int, date] = {}
    for group in groups:
        earliest[group.part] = min(group.since, earliest.get(group.part, date.max))
    return earliest


def _unseen(group: _Alike, ids: Sequence[bytes], seen: SeenIds, *, keep: bool) -> list[bytes]:
    """Those of `ids` that were not applied before."""
    asked = Ids.of(block_of(ids))
    held = seen.window[group.part].holds(asked, since=group.since)
    held |= seen.kept[group.part].holds(asked, since=date.min if keep else group.since)
    if not held.any():
        return list(ids)
    return [id_ for id_, is_held in zip(ids, held.tolist(), strict=True) if not is_held]


# --- blocks --------------------------------------------------------------------------------------


class _Wanted(NamedTuple):
    """Blocks to read: of a partition number, days from `since` to before `until`, after a block."""

    part: int
    since: date
    until: date
    after: int


async def _refresh(
    tx: Tx, table: str, seen: dict[int, SeenDays], since: Mapping[int, date]
) -> None:
    """Read what `seen` lacks: newer blocks, and days before those it knows that are asked for."""
    wanted: list[_Wanted] = []
    for part, first in since.items():
        known = seen.setdefault(part, SeenDays())
        if first < known.since:
            wanted.append(_Wanted(part, first, known.since, 0))
        if known.since < date.max:
            wanted.append(_Wanted(part, known.since, date.max, known.last))
    while wanted:
        # In order of their numbers, so that the next page begins behind the last of this one.
        page = await _list_blocks(tx, table, wanted)
        for part, day, number, ids in page:
            seen[part].add(day, number, bytes(ids))
        if len(page) < BLOCKS_A_PAGE:
            break
        last = page[-1].n
        wanted = [each._replace(after=max(each.after, last)) for each in wanted]
    for part, first in since.items():
        seen[part].since = min(seen[part].since, first)
        if table == "inbox":
            seen[part].forget(before=first - DEDUP_WINDOW)


async def _list_blocks(tx: Tx, table: str, wanted: Sequence[_Wanted]) -> list[Any]:
    """The first of the wanted blocks by their numbers, a page at most."""
    return await rows(
        tx,
        f"SELECT b.part, b.day, b.n, b.ids FROM unnest(CAST(:parts AS integer[]),"
        " CAST(:sinces AS date[]), CAST(:untils AS date[]), CAST(:afters AS bigint[]))"
        f" AS u(part, since, until, after) JOIN {table} b ON b.part = u.part"
        " AND b.day >= u.since AND b.day < u.until AND b.n > u.after"
        # Known before the join, so that the days of the past are not even opened.
        " WHERE b.day >= :earliest ORDER BY b.n LIMIT :limit",
        {
            "parts": [each.part for each in wanted],
            "sinces": [each.since for each in wanted],
            "untils": [each.until for each in wanted],
            "afters": [each.after for each in wanted],
            "earliest": min(each.since for each in wanted),
            "limit": BLOCKS_A_PAGE,
        },
    )


async def _append_blocks(tx: Tx, table: str, ids: Mapping[_Alike, Sequence[bytes]]) -> None:
    """One block for each partition number and day."""
    blocks: dict[tuple[date, int], list[bytes]] = {}
    for group, some in ids.items():
        if some:
            blocks.setdefault((group.day, group.part), []).extend(some)
    if not blocks:
        return
    await tx.execute(
        text(
            f"INSERT INTO {table} (day, part, ids) SELECT * FROM unnest(CAST(:days AS date[]),"
            " CAST(:parts AS integer[]), CAST(:blocks AS bytea[]))"
        ),
        {
            "days": [day for day, _ in blocks],
            "parts": [part for _, part in blocks],
            "blocks": [block_of(some) for some in blocks.values()],
        },
    )


async def ensure_inbox_days(tx: Tx, days: Collection[date]) -> None:
    """Make sure the inbox can take ids of these days."""
    await ensure_day_partitions(tx, "inbox", days)


async def list_applied_before(
    tx: Tx, part: int, ids: Sequence[bytes], *, before: date
) -> set[bytes]:
    """Those of `ids`, all of partition number `part`, that were applied before day `before`."""
    asked, applied, after = Ids.of(block_of(ids)), set[bytes](), 0
    while blocks := await rows(
        tx,
        "SELECT n, ids FROM inbox WHERE part = :part AND day < :before AND n > :after"
        " ORDER BY n LIMIT :limit",
        {"part": part, "before": before, "after": after, "limit": BLOCKS_AT_ONCE},
    ):
        known = IdSet()
        for block in blocks:
            known.add(bytes(block.ids))
        held = known.holds(asked).tolist()
        applied |= {id_ for id_, is_held in zip(ids, held, strict=True) if is_held}
        after = blocks[-1].n
    return applied
