"""Creates the declared topics with explicit settings. An existing topic is left as it is."""

from collections.abc import Collection

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from shared.bus.kafka.failures import SEND_ERRORS
from shared.bus.kafka.reader import KafkaUnavailable
from shared.events.base import Topic

DAY_MS = 24 * 3600 * 1000
TOPIC_EXISTS = 36
MAX_MESSAGE_BYTES = 1_048_576


async def create(
    bootstrap: str, topics: Collection[Topic], *, replication_factor: int
) -> list[str]:
    """Create the missing ones of `topics`; the names of the created.

    Never alters an existing one: aiokafka's alter_configs silently resets every other override.
    Raises KafkaUnavailable when Kafka does not answer or refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=15_000)
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            answer = await admin.create_topics(
                [new_topic(topic, replication_factor=replication_factor) for topic in missing]
            )
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TOPIC_EXISTS):
                    raise KafkaUnavailable(f"cannot create {name}: {for_code(code).__name__}")
        return [topic.name for topic in missing]
    except SEND_ERRORS as error:
        raise KafkaUnavailable(f"cannot create topics: {error!r}") from error
    finally:
        await admin.close()


def new_topic(topic: Topic, *, replication_factor: int) -> NewTopic:
    """A topic's creation request: every setting that a promise rests on is explicit."""
    retention = -1 if topic.retention_days is None else topic.retention_days * DAY_MS
    return NewTopic(
        name=topic.name,
        num_partitions=topic.partitions,
        replication_factor=replication_factor,
        topic_configs={
            "cleanup.policy": "compact" if topic.compact else "delete",
            "retention.ms": str(retention),
            "min.insync.replicas": str(min(2, replication_factor)),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "unclean.leader.election.enable": "false",
        },
    )
