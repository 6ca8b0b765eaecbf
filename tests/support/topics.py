"""Reads whole topics, to compare what stands in Kafka with what was acknowledged."""

from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer


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
