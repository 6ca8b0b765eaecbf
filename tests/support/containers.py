"""Kafka and PostgreSQL of a test session in containers, where a Docker engine answers."""

from collections.abc import Iterator
from contextlib import contextmanager

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from deploy.local.errors import StackError
from deploy.local.kafka.ready import serves
from deploy.local.ports import HOST, reserve
from deploy.local.waiting import wait_until

READY_SECONDS = 90.0


@contextmanager
def kafka_container() -> Iterator[str]:
    """The bootstrap address of a one-node Kafka.

    Not testcontainers' own Kafka: it knows another vendor's image only.
    """
    # Kafka tells its clients its port, so that it must be known before the start.
    reservation = reserve()
    port = reservation.port
    reservation.release()
    with _kafka(port):
        if not wait_until(lambda: serves(port, 1), timeout_seconds=READY_SECONDS):
            raise StackError("Kafka's container does not serve in time")
        yield f"{HOST}:{port}"


@contextmanager
def postgres_container() -> Iterator[str]:
    """The superuser's address of a PostgreSQL that keeps nothing."""
    fast = "postgres -c fsync=off -c full_page_writes=off -c max_connections=120"
    container = PostgresContainer(
        "postgres:18", username="postgres", dbname="postgres", driver=None
    ).with_command(fast)
    with container:
        yield container.get_connection_url()


def _kafka(port: int) -> DockerContainer:
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"INTERNAL://:9092,CLIENT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"INTERNAL://localhost:9092,CLIENT://{HOST}:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
            "INTERNAL:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "8",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    }
    container = DockerContainer("apache/kafka:4.1.0").with_bind_ports(port, port)
    return container.with_envs(**settings)
