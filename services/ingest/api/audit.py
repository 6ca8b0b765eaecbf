"""The guarantee, looked at from outside while it is given: what was acknowledged stands somewhere.

acknowledged - (in Kafka + in the spill) = 0. Not two counters of ours side by side: Kafka is asked
by a client of its own how far its logs go, and the spill's files are looked into on the disk.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog

from services.ingest.api.delivery import TOPICS, Delivery
from services.ingest.settings import IngestSettings
from shared import telemetry
from shared.bus.kafka.ends import LogEnds
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.spill import Place

log = structlog.get_logger()

SPILL_CHECK_SECONDS = 10.0  # a disk that hangs must not hide what became of Kafka's part


class Audit:
    """Compares again and again; `unaccounted` is what the last comparison could not find."""

    def __init__(self, settings: IngestSettings, delivery: Delivery, *, client_id: str) -> None:
        self._every_seconds = settings.audit_seconds
        self._delivery = delivery
        self._ends = LogEnds(TOPICS, client_id=client_id, settings=settings.kafka)
        self._auditing: asyncio.Task[None] | None = None
        self._suspected: Mapping[Place, int] = {}
        self._short: Mapping[Place, int] = {}
        self.unaccounted = 0

    def why_not_ready(self) -> str | None:
        """How many acknowledged events are nowhere; None while there are none."""
        if self._auditing is not None and self._auditing.done():
            return "the comparison has ended by a fault"
        if not self.unaccounted:
            return None
        return f"{self.unaccounted} acknowledged events stand neither in Kafka nor in the spill"

    def start(self) -> None:
        """Begin to compare."""
        self._auditing = asyncio.create_task(self._compare_for_ever())

    async def stop(self) -> None:
        """Compare no more."""
        if self._auditing is not None:
            self._auditing.cancel()
            with suppress(asyncio.CancelledError):
                await self._auditing
        await self._ends.stop()

    async def _compare_for_ever(self) -> None:
        while True:
            await self.compare()
            await asyncio.sleep(self._every_seconds)

    async def compare(self) -> None:
        """Compare once. What Kafka does not answer stays as it was."""
        writer, spill = self._delivery.writer, self._delivery.spill
        assert writer is not None, "the delivery starts first"
        if spill is not None:
            try:
                async with asyncio.timeout(SPILL_CHECK_SECONDS):
                    await spill.check()
            except TimeoutError:
                log.warning("spill_check_hangs", seconds=SPILL_CHECK_SECONDS)
        acknowledged = dict(writer.acknowledged)  # before the question: logs only grow meanwhile
        try:
            ends = {
                (place.topic, place.number): end for place, end in (await self._ends.get()).items()
            }
        except KafkaUnavailable as error:
            log.debug("log_ends_unknown", error=error.message)
        else:
            found = shortfalls(acknowledged, ends)
            self._short = confirmed(self._suspected, found)
            self._suspected = found
        lost_in_spill = spill.lost_events + spill.miscounted_events if spill is not None else 0
        self._tell(sum(self._short.values()) + writer.receded_events + lost_in_spill)

    def _tell(self, unaccounted: int) -> None:
        telemetry.INGEST_UNACCOUNTED.set(unaccounted)
        if unaccounted > self.unaccounted:
            log.critical("acknowledged_events_lost", events=unaccounted, logs=sorted(self._short))
        self.unaccounted = unaccounted


def shortfalls(acknowledged: Mapping[Place, int], ends: Mapping[Place, int]) -> Mapping[Place, int]:
    """By how many events each log is shorter than what it has acknowledged, where it is."""
    return {
        place: offset - ends[place]
        for place, offset in acknowledged.items()
        if place in ends and ends[place] < offset
    }


def confirmed(before: Mapping[Place, int], now: Mapping[Place, int]) -> Mapping[Place, int]:
    """What is short in two looks. One is no proof: a new leader learns its own end in a moment."""
    return {place: min(before[place], short) for place, short in now.items() if place in before}
