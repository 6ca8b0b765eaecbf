"""Kafka has the declared topics; a killed broker comes back on its port with what it had."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import contents
from deploy.local.kafka.cluster import Kafka, one_node_anywhere, three_brokers
from deploy.local.kafka.quick_start import prepare_runtime
from tests.support.stack import TemporaryStack, temporary_home


async def test_every_declared_topic_is_there(stack: TemporaryStack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    await admin.start()

    topics = await admin.describe_topics(["ingest.usage.v1", "ingest.keys.v1"])

    partitions = {topic["topic"]: len(topic["partitions"]) for topic in topics}
    assert partitions == {"ingest.usage.v1": 12, "ingest.keys.v1": 1}
    await admin.close()


def test_topics_are_created_once(stack: TemporaryStack) -> None:
    contents.create_topics(stack.kafka_bootstrap, 1)
    contents.create_topics(stack.kafka_bootstrap, 1)


async def test_record_survives_kill_and_restart_of_the_only_broker() -> None:
    with temporary_home() as home:
        kafka = one_node_anywhere(home, prepare_runtime())
        kafka.start()
        await _create_topic(kafka, "notes")
        await _send(kafka, "notes", b"kept")

        kafka.kill_node(1)
        assert kafka.process(1) is None
        kafka.start_node(1)
        kafka.wait_ready()

        assert await _first_value(kafka, "notes") == b"kept"
        kafka.stop()


@pytest.mark.slow
async def test_two_of_three_brokers_take_acknowledged_records() -> None:
    with temporary_home() as home:
        kafka = three_brokers(home, prepare_runtime())
        kafka.start()
        await _create_topic(kafka, "notes")

        kafka.kill_node(2)
        await _send(kafka, "notes", b"taken by two")
        kafka.start_node(2)
        kafka.wait_ready()

        assert await _first_value(kafka, "notes") == b"taken by two"
        kafka.stop()


async def _create_topic(kafka: Kafka, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, kafka.replication_factor)])
    await admin.close()


async def _send(kafka: Kafka, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def _first_value(kafka: Kafka, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        value: bytes | None = (await consumer.getone()).value
        return value
