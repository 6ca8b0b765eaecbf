"""The relay's writer: whatever failed is not used again."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.kafka.writer import KafkaWriter
from shared.bus.tables import OutboxRow
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings
from tests.bus.conftest import wire
from tests.support.stack import TemporaryStack
from tests.support.topics import read_topic


def row(event_id: str) -> OutboxRow:
    payload = wire(event_id, workspace="relay")
    return OutboxRow(date(2026, 1, 5), 1, USAGE.name, "relay/acme", payload)


async def test_after_a_failure_the_next_try_has_a_new_producer(stack: TemporaryStack):
    writer = KafkaWriter(client_id="relay", settings=KafkaSettings(bootstrap=stack.kafka_bootstrap))
    first, second = (f"default {uuid4()}" for _ in range(2))
    await writer.publish([row(first)])
    used = writer._producer
    assert used is not None

    async def send_batch(*_: Any, **__: Any) -> None:
        raise KafkaTimeoutError

    used.send_batch = send_batch
    with pytest.raises(KafkaUnavailable):
        await writer.publish([row(second)])
    await writer.publish([row(second)])

    assert writer._producer is not used
    await writer.stop()
    assert used._closed
    standing = [event["id"] for event in await read_topic(stack.kafka_bootstrap, USAGE.name)]
    assert standing.count(first) == standing.count(second) == 1


async def test_a_writer_without_kafka_says_so_and_stops(unused_tcp_port: int):
    settings = KafkaSettings(bootstrap=f"127.0.0.1:{unused_tcp_port}")
    writer = KafkaWriter(client_id="relay", settings=settings)

    with pytest.raises(KafkaUnavailable):
        await writer.publish([row("default unreached")])
    await writer.stop()


async def test_what_stands_behind_a_failed_batch_of_its_partition_is_not_sent(
    stack: TemporaryStack, monkeypatch: pytest.MonkeyPatch
):
    """Else the next try would put the first behind the second."""
    writer = KafkaWriter(client_id="relay", settings=KafkaSettings(bootstrap=stack.kafka_bootstrap))
    await writer.publish([row(f"default {uuid4()}")])
    used = writer._producer
    assert used is not None
    monkeypatch.setattr(used, "create_batch", lambda: BatchBuilder(600, 0))
    sent: list[bytes] = []

    async def send_batch(batch: Any, *_: Any, **__: Any) -> None:
        sent.append(bytes(batch._build()))
        raise KafkaTimeoutError

    monkeypatch.setattr(used, "send_batch", send_batch)
    first, second = (f"default {uuid4()}" for _ in range(2))

    with pytest.raises(KafkaUnavailable):
        await writer.publish([row(first), row(second)])

    await writer.stop()
    assert len(sent) == 1
    assert first.encode() in sent[0]
