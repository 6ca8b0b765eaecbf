"""The straight road: poll, decode, and one transaction that moves the offset and keeps the effect.

PostgreSQL decides who owns a partition, by compare-and-set on the offset row; the Kafka group is
only a hint of who should read what. So kill -9 at any instruction is safe: either the transaction
stands, offset and state and caused events together, or nothing does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any, Protocol

import structlog

from shared import telemetry
from shared.bus import tables
from shared.bus.breaker import Breaker, LaneStopped
from shared.bus.commit import SliceCommit
from shared.bus.handlers import Lane
from shared.bus.letters import refused
from shared.bus.record import Decode, Partition, Record, decoder
from shared.bus.retry import (
    BUG_TRIES,
    Family,
    backoff_seconds,
    family,
    is_too_slow,
    reason,
    sentence,
)
from shared.bus.slices import Gaps, Slice, slices_of
from shared.bus.stop import Stopping, pause, unless_stopped
from shared.bus.tables import Fenced
from shared.db import Database
from shared.errors import MainstayError, TransientError
from shared.settings import KafkaSettings

log = structlog.get_logger()

REJOIN_TRIES = 3  # wait as after so many: whoever joins and fails at once must not do so in a loop


class Reader(Protocol):
    """Where records come from: Kafka, or a log in memory in tests of the road."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def fetch(
        self, *, max_records: int, wait_ms: int
    ) -> Coroutine[Any, Any, Mapping[Partition, Sequence[Record]]]:
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


class ReaderStuck(TransientError):
    """The reader gives nothing although records wait: a new one is made."""

    code = "reader_stuck"


class OffsetGone(MainstayError):
    """Our offset is not in the log any more. Never jumped over: an operator has to look."""

    code = "offset_out_of_range"


@dataclass
class LaneState:
    """What a lane tells about itself to readiness, metrics and the watchdog."""

    lag: int = 0
    placed: bool = False
    connected: bool = True
    gives_way: bool = False
    """It does not read now, because the lane that it waits for has lag."""
    stopped_because: str | None = None
    """Set for good: only a person can say how to go on, and starts the process anew."""
    waiting_for: str | None = None
    progressed_at: float = field(default_factory=monotonic)  # seconds, monotonic
    assigned: frozenset[Partition] = frozenset()


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
        self._reader = reader
        self._settings = settings
        self._owner = owner
        self._may_read = may_read
        self._decode: Decode = decoder(lane.types)
        self._positions: dict[Partition, int] = {}
        self._gaps = Gaps()
        self._refused: str | None = None
        self._stuck: str | None = None
        self._commit = SliceCommit(
            service=service,
            lane=lane,
            group=self._group,
            database=database,
            owner=owner,
            cache_bytes=settings.dedup_cache_bytes,
        )
        self._breaker = Breaker(lane.name, most_in_a_row=settings.dead_letters_in_a_row)
        self._labels = (service, lane.name)

    async def run(self, stopping: asyncio.Event) -> None:
        """Read and apply until `stopping` is set. Ends between two batches, never within one."""
        with suppress(Stopping):
            while not stopping.is_set():
                await self._read_on(stopping)

    async def catch_up(self, stopping: asyncio.Event) -> None:
        """Read and apply until the reader, which was started, has nothing left: what a replay does.

        Ends earlier when `stopping` is set. Raises LaneStopped or OffsetGone.
        """
        try:
            while self._is_behind() and not stopping.is_set():
                try:
                    await self._step(stopping)
                except TransientError as error:
                    await self._reader.stop()
                    self._positions.clear()
                    await self._wait_to_retry(error, 0, stopping)
                    await self._retrying(self._reader.start, stopping)
        except Stopping:
            # What was fetched and not applied has to be read again, should we go on.
            self._positions.clear()

    def refuse(self, reason: str) -> None:
        """Read no further: the lane stops before its next batch, until a person has looked."""
        self._refused = reason

    def rejoin(self, reason: str) -> None:
        """Read on with a new reader, from where the table says, after the batch under way."""
        self._stuck = reason

    def _is_behind(self) -> bool:
        """Whether something is left to read, or to be read again."""
        return self._reader.lag() > 0 or self._positions.keys() != self._reader.assigned()

    @property
    def group(self) -> str:
        """Name of its offset rows."""
        return self._group

    @property
    def places(self) -> frozenset[Partition]:
        """All partitions of its topics, whoever reads them now."""
        return frozenset(
            Partition(topic.name, number)
            for topic in self.lane.topics
            for number in range(topic.partitions)
        )

    async def _read_on(self, stopping: asyncio.Event) -> None:
        """Join, then step after step; returns to join anew when Kafka fails us."""
        await self._retrying(self._reader.start, stopping)
        try:
            while not stopping.is_set():
                await self._step(stopping)
        except TransientError as error:
            self._positions.clear()
            await self._wait_to_retry(error, REJOIN_TRIES, stopping)
        except (LaneStopped, OffsetGone) as error:
            self.state.stopped_because = error.message
            log.critical("lane_stopped", lane=self.lane.name, reason=error.message)
            await stopping.wait()
        finally:
            await self._reader.stop()

    async def _step(self, stopping: asyncio.Event) -> None:
        """Place newly assigned partitions, fetch once, apply what came."""
        if self._refused is not None:
            raise OffsetGone(self._refused)
        if (stuck := self._stuck) is not None:
            self._stuck = None
            raise ReaderStuck(stuck)
        await self._retrying(self._place_assigned, stopping)
        self.state.gives_way = not self._may_read()
        if self.state.gives_way:
            await pause(stopping, self._settings.batch_wait_ms / 1000)
            self.state.progressed_at = monotonic()
            return
        fetched = self._without_gaps(await self._fetched(stopping))
        advanced = False
        for batch in slices_of(
            fetched, self._positions, self._decode, most_bytes=self._settings.batch_bytes
        ):
            if not self._continues(batch):
                break
            with telemetry.CONSUMER_BATCH_SECONDS.labels(*self._labels).time():
                await self._apply(batch, stopping)
            # Not where the batch was fenced: that is somebody else's progress.
            advanced |= self._has_passed(batch)
        if advanced:
            read = fetched.keys() & self._positions.keys()
            await self._reader.report({partition: self._positions[partition] for partition in read})
        self._note_progress(advanced=advanced)

    async def _fetched(self, stopping: asyncio.Event) -> Mapping[Partition, Sequence[Record]]:
        """One fetch. Raises Stopping when we are asked to stop meanwhile: it may wait for long."""
        fetching = self._reader.fetch(
            max_records=self._settings.batch_records, wait_ms=self._settings.batch_wait_ms
        )
        return await unless_stopped(fetching, stopping)

    def _without_gaps(
        self, fetched: Mapping[Partition, Sequence[Record]]
    ) -> Mapping[Partition, Sequence[Record]]:
        """Leave out partitions that skip ahead of our place, and place them once more.

        A reader that lost its place would make us pass over records for good.
        """
        odd = self._gaps.doubtful(fetched, self._positions)
        if not odd:
            return fetched
        telemetry.CONSUMER_GAPS.labels(*self._labels).inc(len(odd))
        self._reader.place({partition: self._positions[partition] for partition in odd})
        return {p: records for p, records in fetched.items() if p not in odd}

    def _continues(self, batch: Slice) -> bool:
        """Whether `batch` begins where we stand; if not, all its partitions are placed anew."""
        if all(self._positions.get(p) == span.start for p, span in batch.spans.items()):
            return True
        self._lose_place(batch)
        return False

    def _note_progress(self, *, advanced: bool) -> None:
        self.state.lag = self._reader.lag()
        self.state.connected = self._reader.is_connected()
        if advanced or self.state.lag == 0:
            self.state.progressed_at = monotonic()

    async def _place_assigned(self) -> None:
        """Give every newly assigned partition its offset from our own table; drop the lost ones."""
        assigned = self.state.assigned = self._reader.assigned()
        for lost in self._positions.keys() - assigned:
            del self._positions[lost]
        new = self._reader.unplaced() | (assigned - self._positions.keys())
        self.state.placed = True  # also where others have been given every partition
        if not new:
            return
        async with self._commit.database.transaction() as tx:
            known = await tables.get_offsets(tx, self._group, new)
            if unseen := new - known.keys():
                starts = await self._reader.first_offsets(unseen)
                await tables.create_offsets(tx, self._group, starts, owner=self._owner)
                known |= await tables.get_offsets(tx, self._group, unseen)
        self._positions |= known
        self._gaps.forget(known)
        self._reader.place(known)

    # --- one slice, exactly once ---

    async def _apply(self, batch: Slice, stopping: asyncio.Event) -> None:
        """Apply a slice exactly once, whatever fails; halve it where a record is at fault.

        Raises LaneStopped where nothing but dead letters comes, having applied what stands before.
        """
        allowed = self._breaker.allows(batch)
        if allowed < len(batch.entries):
            head, _ = batch.cut(allowed)
            await self._apply_all(head, stopping)
            if self._has_passed(head):  # else somebody else goes on with it, and decides
                self._breaker.trip()
            return
        await self._apply_all(batch, stopping)

    async def _apply_all(self, batch: Slice, stopping: asyncio.Event) -> None:
        bugs = 0
        folded = batch
        for tries in count():
            try:
                # A commit whose reply was lost may stand: then the offsets are past this slice.
                if tries and await self._commit.stands(batch):
                    break
                folded = await self._commit.apply(batch)
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
                if is_too_slow(error) and len(batch.entries) > 1:
                    for half in batch.halves():
                        await self._apply_all(half, stopping)
                    return
        self._passed(batch)
        self._breaker.passed(folded)

    async def _isolate(self, batch: Slice, error: Exception, stopping: asyncio.Event) -> None:
        """Find the records at fault by halving; one that fails alone becomes a dead letter."""
        if len(batch.entries) > 1:
            for half in batch.halves():
                await self._apply_all(half, stopping)
            return
        (entry,) = batch.entries
        letter = refused(self.lane.name, entry, error)
        rest = Slice(batch.spans, ())
        try:
            await self._retrying(lambda: self._commit.apply(rest, given_up=(letter,)), stopping)
        except Fenced as fenced:
            self._fenced(batch, fenced)
            return
        log.error("record_given_up", lane=self.lane.name, code=letter.code, dead_letter=letter.id)
        self._passed(batch)
        self._breaker.given_up()

    # --- after the commit ---

    def _passed(self, batch: Slice) -> None:
        """Remember where we stand."""
        self._positions |= {partition: span.end for partition, span in batch.spans.items()}
        self.state.progressed_at = monotonic()  # also while a long slice is halved

    def _fenced(self, batch: Slice, error: Fenced) -> None:
        """Somebody else moved these partitions on: read our place from the table again."""
        telemetry.CONSUMER_FENCED.labels(*self._labels).inc()
        log.warning("batch_fenced", lane=self.lane.name, reason=error.message)
        self._lose_place(batch)

    def _has_passed(self, batch: Slice) -> bool:
        """Whether we stand behind `batch`, or in the midst of what comes behind it."""
        return batch.spans.keys() <= self._positions.keys()

    def _lose_place(self, batch: Slice) -> None:
        for partition in batch.spans:
            self._positions.pop(partition, None)

    # --- waiting ---

    async def _retrying(
        self, act: Callable[[], Awaitable[object]], stopping: asyncio.Event
    ) -> None:
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
        log.warning("batch_retried", lane=self.lane.name, code=reason(error), error=sentence(error))
        self.state.waiting_for = reason(error)
        await pause(stopping, backoff_seconds(tries))
        self.state.waiting_for = None
        if stopping.is_set():
            raise Stopping(f"lane {self.lane.name} stopped while waiting") from error


def group_name(service: str, lane: Lane) -> str:
    """Name of the offset rows of a lane, and of its Kafka group but for the suffix in settings."""
    return f"{service}.{lane.name}"
