"""What a row does to topics and groups behind the services' backs. Shares no product code."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from deploy.local.waiting import ask
from tests.faults import raw
from tests.faults.raw import Place, RawRecord

TRY_SECONDS = 30.0  # a group that has just lost its last member still counts as inhabited
PAUSE_SECONDS = 0.3
ASKED_ANEW = 12  # whichever broker answers: so often that each was asked


def append(bootstrap: str, records: Iterable[RawRecord]) -> list[tuple[Place, int]]:
    """Append records as they are, in order, each to the partition that it names; what stands in
    `offset` is ignored. Answers where each stands now.
    """
    return ask(_append(bootstrap, list(records)))


async def _append(bootstrap: str, records: list[RawRecord]) -> list[tuple[Place, int]]:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5) as producer:
        sent = [
            await producer.send(one.topic, one.value, key=one.key, partition=one.partition)
            for one in records
        ]
        acks = await asyncio.gather(*sent)
    return [(Place(ack.topic, ack.partition), ack.offset) for ack in acks]


def delete_records(bootstrap: str, before: Mapping[Place, int]) -> None:
    """Let the log of each partition begin at this offset."""
    wanted = {TopicPartition(*place): RecordsToDelete(offset) for place, offset in before.items()}
    ask(_with_admin(bootstrap, lambda admin: admin.delete_records(wanted)))


def recreate_topic(bootstrap: str, topic: str, *, partitions: int, copies: int) -> None:
    """Delete a topic and create it anew, empty. Returns when every broker knows the new one."""
    ask(_with_admin(bootstrap, lambda admin: admin.delete_topics([topic])))
    new = NewTopic(
        topic,
        partitions,
        copies,
        topic_configs={
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": str(min(2, copies)),
            "retention.ms": "-1",
        },
    )

    async def create(admin: Any) -> None:
        answer = await admin.create_topics([new])
        for _, code, *_ in answer.topic_errors:
            if code:
                raise for_code(code)(f"cannot create {topic}")

    _until_it_works(lambda: _with_admin(bootstrap, create))
    for _ in range(ASKED_ANEW):
        _until_it_works(lambda: raw.topic_ends(bootstrap, [topic]))


def delete_group(bootstrap: str, group: str) -> None:
    """Let Kafka forget a group without members, with its offsets."""

    async def delete(admin: Any) -> None:
        coordinator = await admin.find_coordinator(group)
        answer = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
        ((_, code),) = answer.results
        if code:
            raise for_code(code)(f"cannot delete {group}")

    _until_it_works(lambda: _with_admin(bootstrap, delete))


def set_group(bootstrap: str, group: str, offsets: Mapping[Place, int]) -> None:
    """Let Kafka believe that a group without members has read so far."""
    _until_it_works(lambda: _set_group(bootstrap, group, offsets))


async def _set_group(bootstrap: str, group: str, offsets: Mapping[Place, int]) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    consumer.assign([TopicPartition(*place) for place in offsets])
    await consumer.start()
    try:
        await consumer.commit({TopicPartition(*p): offset for p, offset in offsets.items()})
    finally:
        await consumer.stop()


def group_offsets(bootstrap: str, group: str) -> dict[Place, int]:
    """How far Kafka believes a group has read; empty for one it does not know."""
    found = ask(_with_admin(bootstrap, lambda admin: admin.list_consumer_group_offsets(group)))
    return {Place(p.topic, p.partition): told.offset for p, told in found.items()}


async def _with_admin(bootstrap: str, act: Any) -> Any:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000)
    await admin.start()
    try:
        return await act(admin)
    finally:
        await admin.close()


def _until_it_works(make: Any) -> None:
    deadline = time.monotonic() + TRY_SECONDS
    while True:
        question: Coroutine[object, object, Any] = make()
        try:
            ask(question)
            return
        except (KafkaError, asyncio.CancelledError):  # the second where a client gives itself up
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
