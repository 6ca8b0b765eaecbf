"""The way from stamped events to Kafka: append, await the acks of all touched flushes, or refuse.

The writer connects by itself and goes on trying. While Kafka is away events go to the spill; only
where that cannot take them either ingest answers 503. It works again when Kafka does, without a
restart.
"""

import asyncio
import base64
from collections.abc import Sequence
from hashlib import sha256
from time import monotonic, perf_counter
from typing import NamedTuple

import structlog

from services.ingest.api.recent import Ack, Recent, unique_id
from services.ingest.model import wire
from services.ingest.model.intake import Intake, Refused
from services.ingest.model.refusals import NotDurable
from services.ingest.model.segment import Reception
from services.ingest.model.wire import Attributes, Stamped
from services.ingest.settings import IngestSettings
from services.ingest.store.segments import SpillInUse
from services.ingest.store.spill import DiskSpill, Noted
from shared import telemetry
from shared.bus.kafka.batches import SPILL_SECONDS, BatchWriter
from shared.bus.kafka.flush import SPILLED, Flush
from shared.bus.record import HEADERS
from shared.events.base import caused_id, partition_key
from shared.events.ingest import (
    ACCOUNTS,
    BILLING,
    INTERACTIONS,
    REJECTED,
    UNATTRIBUTED,
    USAGE,
    USAGE_HISTORY,
    EventRejected,
)

log = structlog.get_logger()

TOPICS = (USAGE, USAGE_HISTORY, UNATTRIBUTED, ACCOUNTS, INTERACTIONS, BILLING, REJECTED)
BELIEVED_SECONDS = 10.0
# Of a refused event so much is kept: as base64 it has to fit into a record of 1 MiB.
KEPT_BYTES = 512 * 1024


class Standing(NamedTuple):
    """Where one record is going to stand."""

    flush: Flush
    place: int

    @property
    def acked(self) -> Ack:
        """Done once it is durable."""
        return self.flush.acked

    @property
    def topic(self) -> str:
        """Name of the topic."""
        return self.flush.topic.name

    @property
    def partition(self) -> int:
        """Number of the partition."""
        return self.flush.number

    @property
    def is_spilled(self) -> bool:
        """Whether it waits in the spill."""
        return self.acked.done() and self.acked.result() == SPILLED

    @property
    def offset(self) -> int | None:
        """Its offset; None while it waits in the spill."""
        if not self.acked.done() or self.is_spilled:
            return None
        return self.acked.result() + self.place


class Delivery:
    """The edge's writer, what it remembers, and whether events can be kept."""

    def __init__(self, settings: IngestSettings, *, client_id: str, noted: Noted) -> None:
        """`noted` is told of all events that stand in the spill."""
        self.recent = Recent(settings.recent_ids)
        self.writer: BatchWriter | None = None
        self.spill: DiskSpill | None = None
        self._settings = settings
        self._client_id = client_id
        self._noted = noted
        self._failed_at = 0.0

    def why_not_ready(self) -> str | None:
        """What keeps events from where they are durable; None while Kafka or the spill takes them.

        A failure is believed for some seconds: a service that is sent nothing because it is not
        ready would else never learn that Kafka is back.
        """
        if self.writer is None:
            return "has not started yet"
        why_not = self.writer.why_not()
        if why_not is None or (self.spill is not None and self.spill.why_not() is None):
            return None
        is_old = self.writer.is_connected and monotonic() - self._failed_at > BELIEVED_SECONDS
        return None if is_old else why_not

    def why_spill_not_ready(self) -> str | None:
        """Why events should go elsewhere; None while the spill is well, or none is set."""
        return None if self.spill is None else self.spill.why_not_ready()

    @property
    def inflight_bytes(self) -> int:
        """Bytes handed over and not settled."""
        return self.writer.inflight_bytes if self.writer else 0

    def open_spill(self) -> None:
        """Take the spill's directory, where one is set.

        Raises SystemExit, with one clear line, where it cannot be used.
        """
        directory = self._settings.spill_directory
        if directory is None:
            return
        try:
            self.spill = DiskSpill(
                directory,
                most_bytes=self._settings.spill_bytes,
                noted=self._noted,
                # What is in flight may all come at once; frames hold keys and headers beside it.
                most_on_way_bytes=2 * self._settings.inflight_bytes,
            )
        except (SpillInUse, OSError) as error:
            raise SystemExit(f"settings: INGEST_SPILL_DIRECTORY: {error}") from error

    def start(self) -> None:
        """Begin to connect, and to drain what an earlier life has left; does not wait."""
        self.writer = BatchWriter(
            client_id=self._client_id,
            settings=self._settings.kafka,
            spill=self.spill,
            ack_seconds=self._settings.ack_seconds,
            ack_seconds_without_spill=self._settings.ack_seconds_without_spill,
        )
        self.writer.start_connecting(TOPICS)

    async def stop(self) -> None:
        """Send what is open; what Kafka does not acknowledge in time goes to the spill."""
        if self.writer is not None:
            await self.writer.stop()
        if self.spill is not None:
            await self.spill.close()

    # --- one request ---

    def hand_over(self, intake: Intake, reception: Reception, key_id: str) -> tuple[set[Ack], int]:
        """Append all events of a slice that are new, and the refused ones to their own topic.

        Answers the acks to await, and how many were repeats.
        """
        writer = self._started()
        workspace, recent = reception.workspace, self.recent
        acks: set[Ack] = set()
        repeats = 0
        headers = _headers(reception)
        for _, stamped in intake.stamped:
            unique = unique_id(workspace, stamped.id)
            ack = recent.ack(unique)
            if ack is None:
                flush, _ = writer.append(stamped.topic, stamped.key, stamped.payload, headers)
                ack = flush.acked
                recent.remember(unique, ack)
            else:
                repeats += 1
            acks.add(ack)
        for refused in intake.refused:
            told = rejected(refused, reception, key_id)
            flush, _ = writer.append(told.topic, told.key, told.payload)
            acks.add(flush.acked)
        return acks, repeats

    def append_each(
        self, outcomes: Sequence[Stamped | Refused], reception: Reception, key_id: str
    ) -> list[Standing]:
        """Append every one, also what came before; where each is going to stand, in order."""
        writer, headers = self._started(), _headers(reception)
        standing = []
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                told = rejected(outcome, reception, key_id)
                flush, place = writer.append(told.topic, told.key, told.payload)
            else:
                flush, place = writer.append(outcome.topic, outcome.key, outcome.payload, headers)
            standing.append(Standing(flush, place))
        return standing

    def _started(self) -> BatchWriter:
        assert self.writer is not None, "requests come after the start"
        return self.writer

    async def stand(self, acks: set[Ack]) -> None:
        """Wait until all `acks` are good: in Kafka, or in the spill.

        Raises NotDurable when one is not within the deadline. With a spill every flush has a
        deadline of its own, so that this one never ends first.
        """
        settings = self._settings
        can_spill = self.spill is not None and self.spill.why_not() is None
        deadline = settings.ack_seconds if can_spill else settings.ack_seconds_without_spill
        if self.spill is not None:
            deadline += SPILL_SECONDS
        started = perf_counter()
        _, pending = await asyncio.wait(acks, timeout=deadline)
        telemetry.INGEST_PRODUCE_SECONDS.observe(perf_counter() - started)
        telemetry.INGEST_INFLIGHT_BYTES.set(self.inflight_bytes)
        failed = [ack for ack in acks if ack.done() and ack.exception() is not None]
        if pending or failed:
            self._unacknowledged(len(pending), failed)

    def _unacknowledged(self, pending: int, failed: Sequence[Ack]) -> None:
        """What becomes of events that neither Kafka nor the spill has for sure.

        Their outcome is unknown, the client has to send them again; a flush that is acknowledged
        later makes that repeat a duplicate.
        """
        reason = str(failed[0].exception()) if failed else "did not acknowledge in time"
        self._failed_at = monotonic()
        log.warning("not_durable", pending=pending, failed=len(failed), reason=reason)
        raise NotDurable("the events cannot be kept safely now; send them again")


def _headers(reception: Reception) -> list[tuple[str, bytes]]:
    if reception.traceparent is None:
        return HEADERS
    return [*HEADERS, ("traceparent", reception.traceparent.encode())]


def rejected(refused: Refused, reception: Reception, key_id: str) -> Stamped:
    """A refused event as it stands in `ingest.rejected.v1`; the same again has the same id."""
    event = EventRejected(
        code=refused.code,
        message=refused.message.replace("\x00", "")[:2000],
        dialect=reception.dialect,
        bytes=base64.b64encode(refused.source[:KEPT_BYTES]).decode(),
        key_id=key_id,
        messageid=refused.message_id,
    )
    # Not the id of the event itself: mended and sent again, that one must be new. With the
    # workspace: the same mistake in two of them is two refusals, and a table keeps them by id.
    event_id = caused_id(
        f"{reception.workspace} {reception.source} {refused.message_id}",
        event.type,
        f"{refused.code} {sha256(refused.source).hexdigest()}",
    )
    key = partition_key(reception.workspace, None)
    attributes = Attributes(
        event_id,
        event.type,
        key,
        reception.received_at,
        messageid=refused.message_id,
        data=event,
    )
    payload = wire.spliced(reception.prefix, attributes)
    return Stamped(event_id, refused.message_id, REJECTED, key, payload)
