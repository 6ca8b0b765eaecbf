"""What the runtime itself publishes: how far a service has read, and what it gave up on."""

from collections.abc import Sequence
from datetime import datetime

from shared.bus.record import Partition
from shared.bus.slices import Slice, Span
from shared.bus.tables import DeadLetter
from shared.events.base import Caused
from shared.events.runtime import DEAD_LETTERED, PROGRESSED


def told(
    service: str, group: str, batch: Slice, letters: Sequence[DeadLetter], at: datetime
) -> list[Caused]:
    """One `progressed` for each partition of the slice, one `dead_lettered` for each letter."""
    steps = [
        progressed(service, group, partition, span, at)
        for partition, span in sorted(batch.spans.items())
        if tells_progress(service, partition.topic)
    ]
    return steps + [dead_lettered(service, group, letter, at) for letter in letters]


def tells_progress(service: str, topic: str) -> bool:
    """Only of others' facts: to tell of one's own topic would never come to rest."""
    return not topic.startswith(f"{service}.") and not topic.endswith(".runtime.v1")


def progressed(service: str, group: str, partition: Partition, span: Span, at: datetime) -> Caused:
    """Everything in `partition` below the span's end is applied, as of `at`."""
    place = f"{partition.topic}/{partition.number}"
    return Caused(
        event=PROGRESSED[service](
            read_topic=partition.topic, partition=partition.number, next_offset=span.end, at=at
        ),
        workspace="",
        cause_id=f"{group}/{place}/{span.end}",
        time=at,
        record_key=place,
    )


def dead_lettered(service: str, group: str, letter: DeadLetter, at: datetime) -> Caused:
    """The record of `letter` was given up."""
    record = letter.record
    place = f"{record.topic}/{record.partition}"
    return Caused(
        event=DEAD_LETTERED[service](
            dead_letter=letter.id,
            read_topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=letter.code,
            event_id=letter.envelope.id if letter.envelope else None,
        ),
        workspace=letter.envelope.workspace if letter.envelope else "",
        cause_id=f"{group}/{place}/{record.offset}",
        time=at,
        record_key=place,
    )
