"""Writes to topics, and reads whole ones, to compare with what was acknowledged."""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.bus.record import HEADERS
from shared.events.base import Received
from tests.unit.health.builders import wire


async def read_topic(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    """Every record that stands in `topic` now, as JSON, in order per partition."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[dict[str, Any]] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [msgspec.json.decode(record.value) for record in records]
        return found
    finally:
        await consumer.stop()


async def publish_events(bootstrap: str, events: Sequence[Received[Any]]) -> None:
    """Write the events to their topics one after the other, each acknowledged by all."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for event in events:
            await producer.send_and_wait(
                event.topic, wire(event), key=event.envelope.partitionkey.encode(), headers=HEADERS
            )
    finally:
        await producer.stop()
