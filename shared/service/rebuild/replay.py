"""Folds the log into a shadow schema with the very lanes of the service, up to given offsets.

Day of append by day of append, and within a day lane by lane: so ids are forgotten, and repeats are
noticed across lanes, as they were the first time. Nothing is published: no relay reads a shadow.
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import text

from shared.bus.consumer import Consumer, group_name
from shared.bus.handlers import Lane
from shared.bus.jobs import Job
from shared.bus.kafka.log import LogReader
from shared.bus.record import Partition
from shared.db import Database
from shared.errors import MainstayError
from shared.service.housekeeping import HOUSEKEEPING
from shared.service.rebuild.offsets import Offsets
from shared.service.rebuild.rules import OUTBOX
from shared.service.value import Service

DAY = timedelta(days=1)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
NO_BREAKER = 10**9  # dead letters in a row: what a bad deploy does, the comparison will show


class LogBegunLater(MainstayError):
    """The first records of a topic that is kept for ever are gone: a fold would miss them."""

    code = "log_incomplete"


class LogEndsEarlier(MainstayError):
    """The live tables have read further than the log goes: it is another log."""

    code = "log_too_short"


class LiveChanged(MainstayError):
    """The live service has begun to read something new: the rebuild has to begin anew."""

    code = "live_changed"


@dataclass(frozen=True)
class _Reading:
    """A lane with what it reads through."""

    lane: Lane
    consumer: Consumer
    reader: LogReader

    def ends(self, ends: Offsets) -> Mapping[Partition, int]:
        """What `ends` says of this lane. Raises LiveChanged where it names what we do not read."""
        found = ends[self.consumer.group]
        if new := found.keys() - self.reader.assigned():
            raise LiveChanged(f"{_shown(new)}: not read before")
        return found


@dataclass
class Replay:
    """The lanes of a service, reading for its shadow. Enter it to connect.

    `live` is how far the live service stood at the beginning: the partitions that there are.
    """

    service: Service
    shadow: Database
    live: Offsets
    owner: str
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _readings: list[_Reading] = field(default_factory=list)
    _connected: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        for lane in self.service.lanes:
            if offsets := self.live.get(group_name(self.service.name, lane)):
                self._readings.append(await self._reading(lane, offsets.keys()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connected.aclose()

    async def _reading(self, lane: Lane, partitions: Collection[Partition]) -> _Reading:
        settings = self.service.settings.kafka.model_copy(
            update={"dead_letters_in_a_row": NO_BREAKER}
        )
        reader = LogReader(partitions=partitions, client_id=self.owner, settings=settings)
        await reader.start()
        self._connected.push_async_callback(reader.stop)
        consumer = Consumer(
            service=self.service.name,
            lane=lane,
            database=self.shadow,
            reader=reader,
            settings=settings,
            owner=self.owner,
        )
        return _Reading(lane, consumer, reader)

    async def check_end(self) -> None:
        """Raise LogEndsEarlier where live has read beyond the end of the log."""
        for reading in self._readings:
            ends = await reading.reader.end_offsets()
            read = reading.ends(self.live)
            if short := [where for where, offset in read.items() if ends[where] < offset]:
                raise LogEndsEarlier(f"{_shown(short)}: the log ends before what live has read")

    async def check_begin(self) -> None:
        """Raise LogBegunLater where a topic that is kept for ever has lost its first records."""
        for reading in self._readings:
            forever = {topic.name for topic in reading.lane.topics if topic.retention_days is None}
            firsts = await reading.reader.first_offsets(reading.reader.assigned())
            if begun := [
                where for where, first in firsts.items() if first and where.topic in forever
            ]:
                raise LogBegunLater(f"{_shown(begun)}: the first records are gone")

    async def fold(self, ends: Offsets) -> None:
        """Fold every lane up to `ends`, day by day; less when `stopping` is set."""
        begin = BEGINNING
        while not self.stopping.is_set():
            firsts = [await reading.reader.first_behind(begin) for reading in self._readings]
            begun = [at for found in firsts for at in found.values()]
            if not begun:
                break
            begin = _next_day(min(begun))
            await self._fold_day(begin, ends)
        await self.fold_to(ends)

    async def _fold_day(self, end: datetime, ends: Offsets) -> None:
        """Fold what was appended before `end`; then forget what live had forgotten by then."""
        day: dict[str, Mapping[Partition, int]] = {}
        for reading in self._readings:
            at = await reading.reader.offsets_at(end)
            day[reading.consumer.group] = {
                where: min(offset, at.get(where, offset))
                for where, offset in reading.ends(ends).items()
            }
        await self.fold_to(day)
        await self.forget(end - DAY)

    async def fold_to(self, ends: Offsets) -> None:
        """Fold every lane up to `ends` in their order; less when `stopping` is set."""
        for reading in self._readings:
            reading.reader.read_to(reading.ends(ends))
        for reading in self._readings:
            await reading.consumer.catch_up(self.stopping)
        async with self.shadow.transaction() as tx:
            await tx.execute(text(f"TRUNCATE {OUTBOX}"))  # the live service has published it

    def left(self, ends: Offsets) -> int:
        """Offsets up to `ends` that are not read yet."""
        return sum(reading.reader.left(reading.ends(ends)) for reading in self._readings)

    def progressed_at(self) -> float:
        """When a slice was last applied, monotonic seconds."""
        times = (reading.consumer.state.progressed_at for reading in self._readings)
        return max(times, default=0.0)

    async def forget(self, now: datetime, *names: str) -> None:
        """Let the jobs that only forget do so as at `now`, in the shadow: all, or those named."""
        for job in forgetting(self.service):
            if not names or job.name in names:
                async with self.shadow.transaction() as tx:
                    await job.run(now, tx)


def forgetting(service: Service) -> list[Job]:
    """The jobs of a service that only delete what is too old."""
    return [job for job in (*service.jobs, *HOUSEKEEPING) if job.forgets]


def _next_day(at: datetime) -> datetime:
    return datetime.combine(at.date(), time(), UTC) + DAY


def _shown(partitions: Collection[Partition]) -> str:
    return ", ".join(f"{where.topic}/{where.number}" for where in sorted(partitions))
