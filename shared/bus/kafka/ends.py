"""Where Kafka's logs end, asked by a connection of its own: what a reader believes may be stale.

A reader that is stuck does not know that there is more to read, so its own lag says 0. And its
requests queue behind its long poll. So this one reads nothing and belongs to no group.
"""

import asyncio
from collections.abc import Iterable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus.kafka.reader import STOP_SECONDS, KafkaUnavailable
from shared.bus.record import Partition
from shared.events.base import Topic
from shared.settings import KafkaSettings

log = structlog.get_logger()

ASK_SECONDS = 10.0  # longest an answer may take, connecting included


class LogEnds:
    """Asks for the ends of all partitions of some topics."""

    def __init__(self, topics: Iterable[Topic], *, client_id: str, settings: KafkaSettings) -> None:
        self._places = [
            TopicPartition(topic.name, number)
            for topic in topics
            for number in range(topic.partitions)
        ]
        self._client_id = client_id
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None

    async def get(self) -> dict[Partition, int]:
        """The offset behind the last record of each partition. Raises KafkaUnavailable."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                if self._consumer is None:
                    self._consumer = AIOKafkaConsumer(
                        bootstrap_servers=self._settings.bootstrap,
                        client_id=self._client_id,
                        request_timeout_ms=int(ASK_SECONDS * 1000),
                    )
                    await self._consumer.start()
                ends = await self._consumer.end_offsets(self._places)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise KafkaUnavailable(f"asking for the ends of the logs: {error!r}") from error
        return {Partition(place.topic, place.partition): end for place, end in ends.items()}

    async def stop(self) -> None:
        """Close the connection; the next question makes a new one."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        try:
            await asyncio.wait_for(consumer.stop(), STOP_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("ends_stop_unclean", error=repr(error))
