"""The way from stamped events to Kafka: append, await the acks of all touched flushes, or refuse.

The writer connects by itself and goes on trying: ingest answers 503 while Kafka is away and works
again when Kafka does, without a restart.
"""

import asyncio
import base64
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from time import monotonic, perf_counter

import structlog

from services.ingest.api.recent import Ack, Recent, unique_id
from services.ingest.model import wire
from services.ingest.model.intake import Intake, Refused
from services.ingest.model.refusals import NotDurable
from services.ingest.model.segment import Reception
from services.ingest.model.wire import Attributes, Stamped
from services.ingest.settings import IngestSettings
from shared import telemetry
from shared.bus.kafka.batches import BatchWriter
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.record import HEADERS
from shared.bus.retry import backoff_seconds
from shared.events.base import caused_id, partition_key
from shared.events.ingest import (
    ACCOUNTS,
    REJECTED,
    UNATTRIBUTED,
    USAGE,
    USAGE_HISTORY,
    EventRejected,
)

log = structlog.get_logger()

TOPICS = (USAGE, USAGE_HISTORY, UNATTRIBUTED, ACCOUNTS, REJECTED)
BELIEVED_SECONDS = 10.0
# Of a refused event so much is kept: as base64 it has to fit into a record of 1 MiB.
KEPT_BYTES = 512 * 1024


class Delivery:
    """The edge's writer, what it remembers, and whether Kafka answers."""

    def __init__(self, settings: IngestSettings, *, client_id: str) -> None:
        self.recent = Recent(settings.recent_ids)
        self._settings = settings
        self._client_id = client_id
        self._writer: BatchWriter | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._why_not: str | None = "has not connected yet"
        self._failed_at = 0.0

    def why_not_ready(self) -> str | None:
        """What keeps events from Kafka; None while it acknowledges.

        A failure is believed for some seconds: a service that is sent nothing because it is not
        ready would else never learn that Kafka is back.
        """
        is_old = self._writer is not None and monotonic() - self._failed_at > BELIEVED_SECONDS
        return None if is_old else self._why_not

    @property
    def inflight_bytes(self) -> int:
        """Bytes handed over and not acknowledged."""
        return self._writer.inflight_bytes if self._writer else 0

    def start(self) -> None:
        """Begin to connect; does not wait."""
        self._connecting = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        """Send what is open and close."""
        if self._connecting is not None:
            self._connecting.cancel()
            with suppress(asyncio.CancelledError):
                await self._connecting
        if self._writer is not None:
            with suppress(TimeoutError):
                await self._writer.stop()

    async def _connect(self) -> None:
        tries = 0
        while True:
            writer = BatchWriter(client_id=self._client_id, settings=self._settings.kafka)
            try:
                await writer.start(TOPICS)
            except KafkaUnavailable as error:
                self._why_not = error.message
                log.warning("edge_cannot_connect", error=error.message)
                with suppress(TimeoutError, KafkaUnavailable):
                    await writer.stop()
                await asyncio.sleep(backoff_seconds(tries))
                tries += 1
            else:
                self._writer, self._why_not = writer, None
                return

    # --- one request ---

    def hand_over(self, intake: Intake, reception: Reception, key_id: str) -> tuple[set[Ack], int]:
        """Append all events of a slice that are new, and the refused ones to their own topic.

        Answers the acks to await, and how many were repeats. Raises NotDurable without Kafka.
        """
        writer = self._writer
        if writer is None:
            raise NotDurable("Kafka has not been reached yet; send the events again")
        workspace, recent = reception.workspace, self.recent
        acks: set[Ack] = set()
        repeats = 0
        headers = HEADERS
        if reception.traceparent is not None:
            headers = [*HEADERS, ("traceparent", reception.traceparent.encode())]
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

    async def stand(self, acks: set[Ack]) -> None:
        """Wait until all `acks` are good. Raises NotDurable when one is not within the deadline."""
        is_down = self.why_not_ready() is not None
        settings = self._settings
        deadline = settings.ack_seconds_when_down if is_down else settings.ack_seconds
        started = perf_counter()
        _, pending = await asyncio.wait(acks, timeout=deadline)
        telemetry.INGEST_PRODUCE_SECONDS.observe(perf_counter() - started)
        telemetry.INGEST_INFLIGHT_BYTES.set(self.inflight_bytes)
        failed = [ack for ack in acks if ack.done() and ack.exception() is not None]
        if pending or failed:
            self._unacknowledged(len(pending), failed)
        self._why_not = None

    def _unacknowledged(self, pending: int, failed: Sequence[Ack]) -> None:
        """What becomes of events whose flush is not acknowledged: the one place that decides it.

        Their outcome is unknown, the client has to send them again; a flush that is acknowledged
        later makes that repeat a duplicate.
        """
        reason = str(failed[0].exception()) if failed else "did not acknowledge in time"
        self._why_not, self._failed_at = reason, monotonic()
        log.warning("not_durable", pending=pending, failed=len(failed), reason=reason)
        raise NotDurable("Kafka did not acknowledge the events; send them again")


def rejected(refused: Refused, reception: Reception, key_id: str) -> Stamped:
    """A refused event as it stands in `ingest.rejected.v1`; the same again has the same id."""
    event = EventRejected(
        code=refused.code,
        message=refused.message.replace("\x00", "")[:2000],
        dialect="segment",
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
