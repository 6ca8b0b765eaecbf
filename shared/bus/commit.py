"""One transaction of one slice: offsets, ids, state, dead letters and caused events, or nothing."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from shared import telemetry
from shared.bus import tables
from shared.bus.handlers import Lane, apply_folds
from shared.bus.letters import Parted, keys_of, letters_of_malformed, without_parked
from shared.bus.progress import told
from shared.bus.record import outgoing
from shared.bus.seen import SeenIds
from shared.bus.slices import Slice
from shared.bus.tables import DeadLetter, window_begin
from shared.clock import utc_now
from shared.db import Database, Tx
from shared.events.base import Received


class SliceCommit:
    """Applies slices of one lane, each in a transaction of its own."""

    def __init__(
        self,
        *,
        service: str,
        lane: Lane,
        group: str,
        database: Database,
        owner: str,
        cache_bytes: int,
    ) -> None:
        self.database = database
        self._service = service
        self._lane = lane
        self._group = group
        self._owner = owner
        self._days: set[date] = set()
        self._seen = SeenIds(most_bytes=cache_bytes)
        self._labels = (service, lane.name)

    async def apply(self, batch: Slice, *, given_up: Sequence[DeadLetter] = ()) -> Slice:
        """Apply the slice, or raise what kept it from that and leave nothing behind.

        Answers the slice without what is parked: that says nothing of the code that runs.
        Raises Fenced where somebody else has moved the partitions on.
        """
        await self._ensure_days(batch.received)
        async with self.database.transaction() as tx:
            at = await tables.advance_offsets(tx, self._group, batch.spans, owner=self._owner)
            rest, more = await self._part(tx, batch)
            received, letters = rest.received, [*given_up, *more]
            fresh = await tables.claim_ids(tx, received, keep=self._lane.keeps_ids, seen=self._seen)
            caused = await apply_folds(self._lane.folds, tx, fresh)
            await tables.append_dead_letters(tx, self._lane.name, letters)
            caused += told(self._service, self._group, batch, letters, at)
            source = f"/{self._service}"
            await tables.append_outbox(tx, [outgoing(event, source=source) for event in caused])
        self._count(rest, fresh=len(fresh), received=len(received), letters=letters)
        return rest

    async def stands(self, batch: Slice) -> bool:
        """Whether the offsets are already at the end of this slice."""
        async with self.database.transaction() as tx:
            offsets = await tables.get_offsets(tx, self._group, batch.spans.keys())
        return all(offsets.get(place) == span.end for place, span in batch.spans.items())

    async def _part(self, tx: Tx, batch: Slice) -> Parted:
        """What is folded now, and the dead letters of what is not."""
        if not self._lane.parks_keys:
            return Parted(batch, letters_of_malformed(self._lane.name, batch))
        waiting = await tables.list_parked_keys(tx, self._lane.name, keys_of(batch))
        broken = [letter.id for letter in letters_of_malformed(self._lane.name, batch)]
        decided = await tables.list_decided(tx, broken) if broken else ()
        return without_parked(self._lane.name, batch, waiting, decided=decided)

    async def _ensure_days(self, received: Sequence[Received[Any]]) -> None:
        """Partitions for the days of this slice, in a transaction of their own, once each."""
        days = {event.appended_at.date() for event in received} - self._days
        if days:
            async with self.database.transaction() as tx:
                await tables.ensure_inbox_days(tx, days)
                await tables.ensure_outbox_days(tx)
            self._days |= days
        # Older ones are dropped once an hour, also while a lane still catches up on them.
        self._days = {day for day in self._days if day >= window_begin(utc_now().date())}

    def _count(
        self, batch: Slice, *, fresh: int, received: int, letters: Sequence[DeadLetter]
    ) -> None:
        records = telemetry.CONSUMER_RECORDS
        skipped = len(batch.entries) - received - len(batch.malformed)
        records.labels(*self._labels, "applied").inc(fresh)
        records.labels(*self._labels, "duplicate").inc(received - fresh)
        records.labels(*self._labels, "skipped").inc(skipped)
        for letter in letters:
            telemetry.DEAD_LETTERS.labels(*self._labels, letter.code).inc()
