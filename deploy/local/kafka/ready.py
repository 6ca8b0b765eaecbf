"""Asking one broker, at its own address alone, whether it serves.

Asking the cluster would not do: other brokers list a killed one until its session ends.
"""

import asyncio

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest

from deploy.local.ports import HOST
from deploy.local.waiting import ask

GROUP_COORDINATOR = 0
ANSWER_SECONDS = 3.0


def serves(client_port: int, brokers: int) -> bool:
    """Whether the broker on `client_port` knows all `brokers` of its cluster and the coordinator
    of a consumer group (asking for one creates the offsets topic the first time).
    """
    return ask(_serves(client_port, brokers))


def count_brokers(bootstrap: str) -> int:
    """How many brokers the cluster at `bootstrap` has; 0 when none of its addresses answers."""
    return ask(_count_brokers(bootstrap))


async def _count_brokers(bootstrap: str) -> int:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, client_id="local-stack")
    try:
        await client.bootstrap()
        return len(client.cluster.brokers())
    except (KafkaError, OSError, TimeoutError):
        return 0
    finally:
        await client.close()


async def _serves(client_port: int, brokers: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await _asks(client_port, brokers)
    except (KafkaError, OSError, TimeoutError):
        return False


async def _asks(client_port: int, brokers: int) -> bool:
    connection = await create_conn(
        HOST, client_port, client_id="local-stack", request_timeout_ms=int(ANSWER_SECONDS * 1000)
    )
    try:
        metadata = await connection.send(MetadataRequest([]))
        if len(metadata.brokers) < brokers:
            return False
        answer = await connection.send(FindCoordinatorRequest("local-stack", GROUP_COORDINATOR))
        return bool(answer.error_code == 0)
    finally:
        connection.close()
