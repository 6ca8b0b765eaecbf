"""The spill as the edge sees it: appends of all partitions share one sync, beside the event loop.

One thread does all the disk's work in order. What is pending is counted here, from the call of
`append` on, so that the writer never sends past an event that is still on its way to the disk.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, perf_counter, time
from typing import NamedTuple, TypeVar

import structlog

from services.ingest.store import frames
from services.ingest.store.frames import Framed
from services.ingest.store.segments import Growth, Segments
from shared import telemetry
from shared.bus.spill import Kept, Place, SpillRefused

log = structlog.get_logger()

MARK = 0.8  # of the bytes it may take: from there on a load balancer should send events elsewhere
KEPT_FREE_BYTES = 4 * 1024 * 1024  # of the file system: less than one group of appends may need
# What may wait in memory for the disk: a disk that hangs is no place where events are kept.
MOST_ON_WAY_BYTES = 128 * 1024 * 1024
BELIEVED_SECONDS = 1.0  # so long a refusal of the disk stands before it is asked again

T = TypeVar("T")
Noted = Callable[[Place, Sequence[Kept]], None]


class _Append(NamedTuple):
    place: Place
    records: Sequence[Kept]
    data: bytes
    at: float
    durable: asyncio.Future[None]


class DiskSpill:
    """Implements `shared.bus.spill.Spill`. `noted` is told of every append that is durable."""

    def __init__(
        self,
        directory: Path,
        *,
        most_bytes: int,
        noted: Noted,
        most_on_way_bytes: int = MOST_ON_WAY_BYTES,
    ) -> None:
        """Take what an earlier life has left there, and note it once more.

        Raises SpillInUse, OSError.
        """
        self._segments = Segments(directory)
        self._most_bytes = most_bytes
        self._most_on_way_bytes = most_on_way_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spill")
        self._held: Counter[Place] = Counter(self._segments.events())
        self._on_way: Counter[Place] = Counter()
        self._on_way_bytes = 0
        self._lost: Counter[Place] = Counter()  # as far as `_held` knows
        self._changes = 0
        self.miscounted_events = 0
        """By how many events the files and our own count of them differ: 0, or our mistake."""
        self._queued: list[_Append] = []
        self._committing: asyncio.Future[Mapping[Place, OSError]] | None = None
        self._refusal: str | None = None
        self._refused_at = 0.0
        self._broken_files = self._segments.broken_files()
        self._free_bytes, self._free_asked_at = KEPT_FREE_BYTES, 0.0
        self._noted = noted
        for place, left in self._segments.every():
            noted(place, _kept(left))

    async def close(self) -> None:
        """Finish what is on its way, and let another process have the directory."""
        while self._committing is not None:
            await asyncio.wait({self._committing})
            await asyncio.sleep(0)
        await self._in_thread(self._segments.close)
        self._thread.shutdown(wait=False)

    # --- what the writer asks for ---

    def pending(self, place: Place) -> int:
        """How many records of the place have been appended and not dropped."""
        return self._held[place] + self._on_way[place]

    def places(self) -> Collection[Place]:
        """The places with pending records."""
        return [place for place in self._held | self._on_way if self.pending(place)]

    def append(self, place: Place, records: Sequence[Kept]) -> asyncio.Future[None]:
        """Add to the end of a place; done once durable. Raises SpillRefused, in the answer too."""
        now = time()
        data = b"".join(
            frames.encoded(Framed(now, key, value, headers)) for key, value, headers in records
        )
        if self.bytes + len(data) > self._most_bytes:
            raise SpillRefused(f"full: {self.bytes} of {self._most_bytes} bytes")
        if self._on_way_bytes + len(data) > self._most_on_way_bytes:
            reason = f"the spill's disk is too slow: {self._on_way_bytes} bytes wait for it"
            self._refusal, self._refused_at = reason, monotonic()
            raise SpillRefused(reason)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_way[place] += len(records)
        self._on_way_bytes += len(data)
        self._queued.append(_Append(place, records, data, now, durable))
        if self._committing is None:
            self._commit()
        return durable

    async def read(self, place: Place, *, max_bytes: int) -> Sequence[Kept]:
        """The oldest durable records of a place; empty where none is durable yet."""
        try:
            found = await self._in_thread(lambda: self._segments.read(place, max_bytes=max_bytes))
        except OSError as error:
            raise SpillRefused(f"reading: {error}") from error
        finally:
            self._forget_lost()
        return _kept(found)

    async def drop(self, place: Place, count: int) -> None:
        """Forget the oldest `count` of the records last read: Kafka has them."""
        dropped = await self._in_thread(lambda: self._segments.drop(place, count))
        # In one line, `-=` would have read the count before the wait and undone what came between.
        self._held[place] -= dropped
        self._changes += 1
        self._forget_lost()

    def why_not(self) -> str | None:
        """Why nothing more can be taken now; None while there is room."""
        if self.bytes >= self._most_bytes:
            return f"the spill is full: {self.bytes} of {self._most_bytes} bytes"
        if self._refusal is not None and monotonic() - self._refused_at < BELIEVED_SECONDS:
            return self._refusal
        if monotonic() - self._free_asked_at > BELIEVED_SECONDS:
            self._free_bytes, self._free_asked_at = self._segments.free_bytes(), monotonic()
        if self._free_bytes < KEPT_FREE_BYTES:
            return f"the spill's disk is full: {self._free_bytes} bytes left"
        return None

    # --- what operators ask for ---

    @property
    def bytes(self) -> int:
        """What the spill takes on disk, with what is on its way there."""
        return self._segments.bytes + self._on_way_bytes

    @property
    def lost_events(self) -> int:
        """Events that were durable here, are not in Kafka, and can no longer be read."""
        return self._lost.total()

    def why_not_ready(self) -> str | None:
        """Why a load balancer should send events elsewhere; None while all is well."""
        if self._broken_files:
            return f"{self._broken_files} unreadable stretches lie aside in *.broken files"
        if self.bytes >= MARK * self._most_bytes:
            return f"{self.bytes} of {self._most_bytes} bytes are taken"
        return self.why_not()

    async def check(self) -> None:
        """Look whether the disk still holds what it should, and show how full it is."""
        changes = self._changes
        try:
            await self._in_thread(self._segments.check)
            on_disk = await self._in_thread(self._segments.events)
            oldest_at = await self._in_thread(self._segments.oldest_at)
            self._broken_files = await self._in_thread(self._segments.broken_files)
        except OSError as error:
            self._refuse(error)
            return
        self._forget_lost()
        if changes == self._changes:  # else the two were not looked at in the same moment
            self.miscounted_events = sum(
                abs(on_disk.get(place, 0) - self._held[place]) for place in {*on_disk, *self._held}
            )
        telemetry.INGEST_SPILL_BYTES.set(self.bytes)
        telemetry.INGEST_SPILL_EVENTS.set(self._held.total() + self._on_way.total())
        waited = 0.0 if oldest_at is None else max(0.0, time() - oldest_at)
        telemetry.INGEST_SPILL_OLDEST_SECONDS.set(waited)

    # --- the thread ---

    def _commit(self) -> None:
        """Have all that is queued written and synced at once; the rest waits for the next time."""
        group, self._queued = self._queued, []
        gathered: dict[Place, list[_Append]] = {}
        for append in group:
            gathered.setdefault(append.place, []).append(append)
        growths = {
            place: Growth(
                b"".join([append.data for append in appends]),
                sum(len(append.records) for append in appends),
                appends[0].at,
            )
            for place, appends in gathered.items()
        }
        loop = asyncio.get_running_loop()
        self._committing = loop.run_in_executor(self._thread, self._appended, growths)
        self._committing.add_done_callback(lambda done: self._committed(group, done.result()))

    def _appended(self, growths: Mapping[Place, Growth]) -> Mapping[Place, OSError]:
        started = perf_counter()
        try:
            failed = self._segments.append(growths)
        except Exception as error:
            # A fault of ours is a refusal too: whoever waits must get an answer.
            log.exception("spill_fault")
            failed = dict.fromkeys(growths, OSError(repr(error)))
        telemetry.INGEST_SPILL_SYNC_SECONDS.observe(perf_counter() - started)
        return failed

    def _committed(self, group: Sequence[_Append], failed: Mapping[Place, OSError]) -> None:
        """Tell everyone who waits for an append of the group."""
        self._committing = None
        for append in group:
            count = len(append.records)
            self._on_way[append.place] -= count
            self._on_way_bytes -= len(append.data)
            error = failed.get(append.place)
            if error is not None:
                self._refuse(error)
                if not append.durable.done():
                    append.durable.set_exception(SpillRefused(str(error)))
                continue
            self._refusal = None
            self._changes += 1
            self._held[append.place] += count
            telemetry.INGEST_SPILLED.inc(count)
            if not append.durable.done():
                append.durable.set_result(None)
            try:
                self._noted(append.place, append.records)
            except Exception:
                log.exception("spill_note_fault")  # only a receipt is missing
        if self._queued:
            self._commit()

    def _refuse(self, error: OSError) -> None:
        log.warning("spill_refuses", error=str(error))
        self._refusal, self._refused_at = f"the spill's disk fails: {error}", monotonic()

    def _forget_lost(self) -> None:
        """What can no longer be read is no longer pending."""
        for place, count in self._segments.lost.copy().items():
            self._held[place] -= count - self._lost[place]
            self._lost[place] = count

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _kept(found: Sequence[Framed]) -> list[Kept]:
    return [(framed.key, framed.value, framed.headers) for framed in found]
