"""The straight road: poll, decode, and one transaction that moves the offset and keeps the effect.

PostgreSQL decides who owns a partition, by compare-and-set on the offset row; the Kafka group is
only a hint of who should read what. So kill -9 at any instruction is safe: either the transaction
stands, offset and state and caused events together, or nothing does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from time import monotonic
from typing import Any, Protocol

import structlog

from shared import telemetry
from shared.bus import tables
from shared.bus.handlers import Lane, apply_folds
from shared.bus.progress import told
from shared.bus.record import Decode, Partition, Record, decoder, outgoing
from shared.bus.retry import BUG_TRIES, Family, backoff_seconds, family, reason
from shared.bus.slices import Slice, slice_of
from shared.bus.tables import DeadLetter, Fenced, dead_letter
from shared.db import Database
from shared.errors import MainstayError, TransientError
from shared.events.base import Received
from shared.settings import KafkaSettings

log = structlog.get_logger()


class Reader(Protocol):
    """Where records come from: Kafka, or a log in memory in tests of the road."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def fetch(
        self, *, max_records: int, wait_ms: int
    ) -> Mapping[Partition, Sequence[Record]]:
        """The next records of each partition, in offset order; none when `wait_ms` is over."""
        ...

    def assigned(self) -> frozenset[Partition]:
        """The partitions this reader should read now; changes with every rebalance."""
        ...

    def unplaced(self) -> frozenset[Partition]:
        """Those of the assigned that have no place since their last (re)assignment."""
        ...

    async def first_offsets(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The oldest offset that still stands in each partition."""
        ...

    def place(self, positions: Mapping[Partition, int]) -> None:
        """Read each partition from this offset on. Until placed, a partition gives no records."""
        ...

    def is_connected(self) -> bool:
        """Whether the source answers at all; while it does not, nothing comes and nothing fails."""
        ...

    def lag(self) -> int:
        """Records in the log beyond what was fetched, as far as known."""
        ...

    async def report(self, positions: Mapping[Partition, int]) -> None:
        """Tell the group how far we are, best effort: only lag tools look at it."""
        ...


class LaneStopped(MainstayError):
    """The lane gave up more records in a row than a working deploy ever would."""

    code = "lane_stopped"


class Stopping(MainstayError):
    """The process was asked to stop while a batch waited for its next try. Nothing is lost."""

    code = "stopping"


@dataclass
class LaneState:
    """What a lane tells about itself to readiness, metrics and the watchdog."""

    lag: int = 0
    placed: bool = False
    connected: bool = True
    stopped_because: str | None = None
    waiting_for: str | None = None
    progressed_at: float = field(default_factory=monotonic)  # seconds, monotonic

    def idle_seconds(self) -> float:
        """Seconds since the last sign of progress: an applied batch, or nothing left to read."""
        return monotonic() - self.progressed_at


class Consumer:
    """One lane of one service: reads its topics and applies them, batch after batch."""

    def __init__(
        self,
        *,
        service: str,
        lane: Lane,
        database: Database,
        reader: Reader,
        settings: KafkaSettings,
        owner: str,
        may_read: Callable[[], bool] = lambda: True,
    ) -> None:
        self.lane = lane
        self.state = LaneState()
        self._service = service
        self._group = group_name(service, lane)
        self._database = database
        self._reader = reader
        self._settings = settings
        self._owner = owner
        self._may_read = may_read
        self._decode: Decode = decoder(lane.types)
        self._positions: dict[Partition, int] = {}
        self._inbox_days: set[date] = set()
        self._dead_in_a_row = 0
        self._labels = (service, lane.name)

    async def run(self, stopping: asyncio.Event) -> None:
        """Read and apply until `stopping` is set. Ends between two batches, never within one."""
        with suppress(Stopping):
            while not stopping.is_set():
                await self._read_on(stopping)

    async def _read_on(self, stopping: asyncio.Event) -> None:
        """Join, then step after step; returns to join anew when Kafka fails us."""
        await self._retrying(self._reader.start, stopping)
        try:
            while not stopping.is_set():
                await self._step(stopping)
        except TransientError as error:
            self._positions.clear()
            await self._wait_to_retry(error, 0, stopping)
        except LaneStopped as error:
            self.state.stopped_because = error.message
            log.critical("lane_stopped", lane=self.lane.name, reason=error.message)
            await stopping.wait()
        finally:
            await self._reader.stop()

    async def _step(self, stopping: asyncio.Event) -> None:
        """Place newly assigned partitions, fetch once, apply what came."""
        await self._retrying(self._place_assigned, stopping)
        if not self._may_read():
            await _unless_set(stopping, self._settings.batch_wait_ms / 1000)
            self.state.progressed_at = monotonic()
            return
        fetched = await self._reader.fetch(
            max_records=self._settings.batch_records, wait_ms=self._settings.batch_wait_ms
        )
        batch = slice_of(fetched, self._positions, self._decode)
        if batch is not None:
            with telemetry.CONSUMER_BATCH_SECONDS.labels(*self._labels).time():
                await self._apply(batch, stopping)
            await self._reader.report({p: span.end for p, span in batch.spans.items()})
        self._note_progress(advanced=batch is not None)

    def _note_progress(self, *, advanced: bool) -> None:
        self.state.lag = self._reader.lag()
        self.state.connected = self._reader.is_connected()
        telemetry.CONSUMER_LAG.labels(*self._labels).set(self.state.lag)
        if advanced or self.state.lag == 0:
            self.state.progressed_at = monotonic()

    async def _place_assigned(self) -> None:
        """Give every newly assigned partition its offset from our own table; drop the lost ones."""
        assigned = self._reader.assigned()
        for lost in self._positions.keys() - assigned:
            del self._positions[lost]
        new = self._reader.unplaced() | (assigned - self._positions.keys())
        if not new:
            return
        async with self._database.transaction() as tx:
            known = await tables.get_offsets(tx, self._group, new)
            if unseen := new - known.keys():
                starts = await self._reader.first_offsets(unseen)
                await tables.create_offsets(tx, self._group, starts, owner=self._owner)
                known |= await tables.get_offsets(tx, self._group, unseen)
        self._positions |= known
        self._reader.place(known)
        self.state.placed = True

    # --- one slice, exactly once ---

    async def _apply(self, batch: Slice, stopping: asyncio.Event) -> None:
        """Apply a slice exactly once, whatever fails; halve it where a record is at fault."""
        bugs = 0
        for tries in count():
            try:
                # A commit whose reply was lost may stand: then the offsets are past this slice.
                if tries and await self._stands(batch):
                    break
                await self._commit(batch, given_up=())
                break
            except Fenced as error:
                self._fenced(batch, error)
                return
            except Exception as error:  # noqa: BLE001 - the one door for what folds may raise
                bugs += family(error) is Family.BUG
                if family(error) is Family.PERMANENT or bugs >= BUG_TRIES:
                    await self._isolate(batch, error, stopping)
                    return
                await self._wait_to_retry(error, tries, stopping)
        self._passed(batch, dead=len(batch.malformed))

    async def _isolate(self, batch: Slice, error: Exception, stopping: asyncio.Event) -> None:
        """Find the records at fault by halving; one that fails alone becomes a dead letter."""
        if len(batch.entries) > 1:
            for half in batch.halves():
                await self._apply(half, stopping)
            return
        (entry,) = batch.entries
        envelope = entry.decoded.envelope if isinstance(entry.decoded, Received) else None
        letter = dead_letter(entry.record, envelope, code=reason(error), message=str(error))
        rest = Slice(batch.spans, ())
        try:
            await self._retrying(lambda: self._commit(rest, given_up=(letter,)), stopping)
        except Fenced as fenced:
            self._fenced(batch, fenced)
            return
        log.error("record_given_up", lane=self.lane.name, code=letter.code, dead_letter=letter.id)
        self._passed(batch, dead=1)

    async def _commit(self, batch: Slice, *, given_up: Sequence[DeadLetter]) -> None:
        """One transaction: offsets, ids, state, dead letters, caused events."""
        received = batch.received
        letters = [*given_up, *map(_letter_of_malformed, batch.malformed)]
        await self._ensure_inbox_days(received)
        async with self._database.transaction() as tx:
            at = await tables.advance_offsets(tx, self._group, batch.spans, owner=self._owner)
            fresh = await tables.claim_ids(tx, received, keep=self.lane.keeps_ids)
            caused = await apply_folds(self.lane.folds, tx, fresh)
            await tables.append_dead_letters(tx, self.lane.name, letters)
            caused += told(self._service, self._group, batch, letters, at)
            source = f"/{self._service}"
            await tables.append_outbox(tx, [outgoing(event, source=source) for event in caused])
        self._count(batch, fresh=len(fresh), received=len(received), letters=letters)

    async def _ensure_inbox_days(self, received: Sequence[Received[Any]]) -> None:
        """Inbox partitions for the days of this slice, in a transaction of their own, once each."""
        days = {event.appended_at.date() for event in received} - self._inbox_days
        if days and not self.lane.keeps_ids:
            async with self._database.transaction() as tx:
                await tables.ensure_inbox_days(tx, days)
            self._inbox_days |= days

    async def _stands(self, batch: Slice) -> bool:
        """Whether the offsets are already at the end of this slice."""
        async with self._database.transaction() as tx:
            offsets = await tables.get_offsets(tx, self._group, batch.spans.keys())
        return all(offsets.get(place) == span.end for place, span in batch.spans.items())

    # --- after the commit ---

    def _passed(self, batch: Slice, *, dead: int) -> None:
        """Remember where we stand. Raises LaneStopped when nothing but dead letters comes."""
        self._positions |= {partition: span.end for partition, span in batch.spans.items()}
        self.state.progressed_at = monotonic()  # also while a long slice is halved
        if dead < len(batch.entries):
            self._dead_in_a_row = 0
        self._dead_in_a_row += dead
        if self._dead_in_a_row > self._settings.dead_letters_in_a_row:
            raise LaneStopped(f"{self._dead_in_a_row} dead letters in a row in {self.lane.name}")

    def _fenced(self, batch: Slice, error: Fenced) -> None:
        """Somebody else moved these partitions on: read our place from the table again."""
        telemetry.CONSUMER_FENCED.labels(*self._labels).inc()
        log.warning("batch_fenced", lane=self.lane.name, reason=error.message)
        for partition in batch.spans:
            self._positions.pop(partition, None)

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

    # --- waiting ---

    async def _retrying(self, act: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> None:
        """Do `act` again and again while the world is at fault, until it works or we stop."""
        for tries in count():
            try:
                await act()
                return
            except TransientError as error:
                await self._wait_to_retry(error, tries, stopping)

    async def _wait_to_retry(self, error: Exception, tries: int, stopping: asyncio.Event) -> None:
        """Back off. Raises Stopping when the process is asked to stop meanwhile."""
        telemetry.CONSUMER_RETRIES.labels(*self._labels, reason(error)).inc()
        log.warning("batch_retried", lane=self.lane.name, code=reason(error), error=str(error))
        self.state.waiting_for = reason(error)
        await _unless_set(stopping, backoff_seconds(tries))
        self.state.waiting_for = None
        if stopping.is_set():
            raise Stopping(f"lane {self.lane.name} stopped while waiting") from error


def group_name(service: str, lane: Lane) -> str:
    """Name of the offset rows of a lane, and of its Kafka group but for the suffix in settings."""
    return f"{service}.{lane.name}"


def _letter_of_malformed(found: tuple[Record, Any]) -> DeadLetter:
    record, malformed = found
    return dead_letter(record, malformed.envelope, code=malformed.code, message=malformed.message)


async def _unless_set(stopping: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or less when `stopping` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
