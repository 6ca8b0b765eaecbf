"""What ends a process that no longer gets on: only a restart is known to help, and it is safe.

Two dogs. One watches the lanes from outside: where Kafka's logs end and what our own offset rows
say, never what a consumer believes of itself. The other is a thread that watches the event loop.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from math import inf
from time import monotonic

import structlog

from shared import telemetry
from shared.bus import tables
from shared.bus.consumer import Consumer
from shared.bus.kafka.ends import LogEnds
from shared.bus.record import Partition
from shared.bus.stop import pause
from shared.db import Database
from shared.errors import TransientError

log = structlog.get_logger()

LOOK_SECONDS = 5.0
# A partition that the group has given to another process is that one's to mend, and that one has a
# dog too. Only when it stands still for so much longer may the group itself be stuck. So with
# one that waits while its lane works off others: what one fetch brought is applied before the next.
MORE_PATIENCE = 3
# A reader sees when its client's fetching has ended (uvloop and closed connections). Should the
# client fall silent in a way that it does not see, a lane of which nothing moves for so long is
# given a new reader before the process is ended.
REJOIN_SECONDS = 20.0
EXIT_STALLED = 70  # EX_SOFTWARE
# A leader that was killed tells an end that is some seconds old until its followers are back: a log
# that ends before our offset is another one only when it still does after so long.
RECEDED_SECONDS = 20.0


class Stalled(RuntimeError):
    """A lane has work and makes no progress."""


class LaneWatchdog:
    """Ends the process when records wait and no offset moves."""

    def __init__(
        self,
        *,
        service: str,
        consumers: Sequence[Consumer],
        database: Database,
        ends: LogEnds,
        patience_seconds: float,
    ) -> None:
        self._service = service
        self._consumers = consumers
        self._database = database
        self._ends = ends
        self._patience_seconds = patience_seconds
        # Of every partition with waiting records: where its offset stood, and since when.
        self._standing: dict[tuple[str, Partition], tuple[int, float]] = {}
        self._moved_at: dict[str, float] = {}  # of every group: when any of its partitions moved
        self._rejoined_at: dict[str, float] = {}  # of every group: when it was given a new reader
        # Where every offset stood at the last look.
        self._stood: dict[tuple[str, Partition], int] = {}
        # Whose logs have ended before that, and since when.
        self._receded: dict[tuple[str, Partition], float] = {}
        self._why_not: str | None = "has not been asked yet"

    def why_not_ready(self) -> str | None:
        """Why Kafka cannot be relied on; None while it answers."""
        return self._why_not

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until `stopping` is set. Raises Stalled."""
        try:
            while not stopping.is_set():
                await self._look()
                await pause(stopping, LOOK_SECONDS)
        finally:
            await self._ends.stop()

    async def _look(self) -> None:
        try:
            ends = await self._ends.get()
        except TransientError as error:
            self._why_not = error.message
            self._standing.clear()  # nobody gets on without Kafka: that is no fault of ours
            return
        self._why_not = None
        try:
            async with self._database.transaction() as tx:
                for consumer in self._consumers:
                    offsets = await tables.get_offsets(tx, consumer.group, consumer.places)
                    self._compare(consumer, ends, offsets, now=monotonic())
                    self._judge(consumer, ends, offsets, now=monotonic())
        except TransientError:
            self._standing.clear()

    def _compare(
        self,
        consumer: Consumer,
        ends: Mapping[Partition, int],
        offsets: Mapping[Partition, int],
        *,
        now: float,
    ) -> None:
        """Stop a lane that has read further than a log goes: another log stands in its place.

        The reader itself may learn of a topic made anew minutes later, when that has grown past
        our offset. Compared with the look before: offsets of now may be younger than these ends.
        """
        for place in sorted(consumer.places & ends.keys()):
            key = consumer.group, place
            stood = self._stood.get(key, 0)
            if stood <= ends[place]:
                self._receded.pop(key, None)
                continue
            since = self._receded.setdefault(key, now)
            if now - since >= RECEDED_SECONDS and consumer.state.stopped_because is None:
                consumer.refuse(
                    f"{place.topic}/{place.number} ends at {ends[place]}, we have read to {stood}"
                )
        self._stood |= {(consumer.group, place): offset for place, offset in offsets.items()}

    def _judge(
        self,
        consumer: Consumer,
        ends: Mapping[Partition, int],
        offsets: Mapping[Partition, int],
        *,
        now: float,
    ) -> None:
        """Note what waits in one lane. Raises Stalled where it has waited for too long."""
        state = consumer.state
        # A partition without a row has not begun: nobody has been able to place it yet.
        waiting = {
            partition: lag
            for partition in consumer.places
            if (lag := ends.get(partition, 0) - offsets.get(partition, 0)) > 0
        }
        ours = sum(lag for partition, lag in waiting.items() if partition in state.assigned)
        telemetry.CONSUMER_LAG.labels(self._service, consumer.lane.name).set(ours)
        excused = state.stopped_because or state.waiting_for or state.gives_way
        self._note_moves(consumer, offsets, now=now)
        works = now - self._moved_at.get(consumer.group, -inf) <= self._patience_seconds
        for partition in consumer.places:
            key = consumer.group, partition
            if excused or partition not in waiting:
                self._standing.pop(key, None)
                continue
            stands = offsets.get(partition, 0)
            offset, since = self._standing.get(key, (stands, now))
            if offset != stands:
                offset, since = stands, now
            self._standing[key] = offset, since
            if partition in state.assigned and now - since > REJOIN_SECONDS:
                self._give_new_reader(consumer, now=now)
            patience = self._patience_seconds
            if works or partition not in state.assigned:
                patience *= MORE_PATIENCE
            if now - since > patience:
                raise Stalled(
                    f"lane {consumer.lane.name}: {partition.topic}/{partition.number} stands at"
                    f" {offset} for {now - since:.0f} s, {waiting[partition]} records wait"
                )

    def _give_new_reader(self, consumer: Consumer, *, now: float) -> None:
        """Let a lane join anew of which nothing has moved for a while, and not again at once."""
        group = consumer.group
        last = max(self._moved_at.get(group, -inf), self._rejoined_at.get(group, -inf))
        if now - last > REJOIN_SECONDS:
            self._rejoined_at[group] = now
            log.warning("reader_replaced", lane=consumer.lane.name)
            consumer.rejoin(f"lane {consumer.lane.name}: nothing moves while records wait")

    def _note_moves(
        self, consumer: Consumer, offsets: Mapping[Partition, int], *, now: float
    ) -> None:
        """Remember that the lane works, where any partition that waited has moved on."""
        for partition in consumer.places:
            stood = self._standing.get((consumer.group, partition))
            if stood is not None and stood[0] != offsets.get(partition, 0):
                self._moved_at[consumer.group] = now


# --- the event loop ------------------------------------------------------------------------------

BEAT_SECONDS = 1.0
GRACE_SECONDS = 3.0


class LoopWatchdog:
    """Exits hard when the event loop is blocked: it cannot end itself then, nor answer anybody."""

    def __init__(self, service: str, *, patience_seconds: float) -> None:
        self._service = service
        self._patience_seconds = patience_seconds
        self._beat = monotonic()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    async def run(self, stopping: asyncio.Event) -> None:
        """Let the loop show that it is alive, and measure how late it wakes."""
        self._beat = monotonic()
        self._thread.start()
        while not stopping.is_set():
            before = self._beat = monotonic()
            await pause(stopping, BEAT_SECONDS)
            late = max(0.0, monotonic() - before - BEAT_SECONDS)
            telemetry.LOOP_LAG_SECONDS.labels(self._service).set(late)
        self._beat = float("inf")  # the stop has a bound of its own

    def _watch(self) -> None:
        while True:
            before = monotonic()
            time.sleep(BEAT_SECONDS)
            now = monotonic()
            if now - before > 2 * BEAT_SECONDS:
                # We too were late: the whole process stood still (SIGSTOP, a paused machine) or
                # got no processor. The loop is given a moment to show that it goes on.
                self._beat = max(self._beat, now - self._patience_seconds + GRACE_SECONDS)
            elif now - self._beat > self._patience_seconds:
                log.critical("loop_stalled", seconds=round(now - self._beat, 1))
                faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
                sys.stdout.flush()
                os._exit(EXIT_STALLED)
