"""Where Kafka's logs end, asked by a connection of its own: what a reader believes may be stale.

A reader that is stuck does not know that there is more to read, so its own lag says 0. And its
requests queue behind its long poll. So this one reads nothing and belongs to no group.
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus.kafka.failures import SEND_ERRORS
from shared.bus.kafka.reader import STOP_SECONDS, KafkaUnavailable
from shared.bus.record import Partition
from shared.events.base import Topic
from shared.settings import KafkaSettings

log = structlog.get_logger()

ASK_SECONDS = 10.0  # longest an answer may take, connecting included
TOPIC_SECONDS = 3.0  # the same for one topic, where not all of them answer


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
        self._starting = asyncio.Lock()

    async def get(self) -> dict[Partition, int]:
        """The offset behind the last record of each partition whose leader answers.

        As a rule that is all of them, by one question. Raises KafkaUnavailable where none does.
        """
        try:
            return await self._ask(self._places, ASK_SECONDS)
        except KafkaUnavailable as error:
            # One partition without a leader, or one topic that is gone, must not hide the others.
            topics = {place.topic for place in self._places}
            answers = await asyncio.gather(
                *(self._ask_topic(topic) for topic in sorted(topics)), return_exceptions=True
            )
            known = [answer for answer in answers if isinstance(answer, dict)]
            if not known:
                await self.stop()
                raise KafkaUnavailable(error.message) from error
            return {place: end for answer in known for place, end in answer.items()}

    async def _ask_topic(self, topic: str) -> dict[Partition, int]:
        return await self._ask([p for p in self._places if p.topic == topic], TOPIC_SECONDS)

    async def _ask(self, places: Sequence[TopicPartition], seconds: float) -> dict[Partition, int]:
        try:
            async with asyncio.timeout(seconds):
                ends = await (await self._started()).end_offsets(places)
        except (*SEND_ERRORS, TimeoutError, AssertionError, TypeError) as error:
            # The last two are aiokafka's way to say that a topic or partition is gone.
            raise KafkaUnavailable(f"asking for the ends of the logs: {error!r}") from error
        return {Partition(place.topic, place.partition): end for place, end in ends.items()}

    async def _started(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._consumer is None:
                made = AIOKafkaConsumer(
                    bootstrap_servers=self._settings.bootstrap,
                    client_id=self._client_id,
                    request_timeout_ms=int(ASK_SECONDS * 1000),
                )
                try:
                    await made.start()
                except BaseException:
                    await _close(made)
                    raise
                self._consumer = made
        return self._consumer

    async def stop(self) -> None:
        """Close the connection; the next question makes a new one."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await _close(consumer)


async def _close(consumer: AIOKafkaConsumer) -> None:
    try:
        await asyncio.wait_for(consumer.stop(), STOP_SECONDS)
    except (*SEND_ERRORS, TimeoutError) as error:
        log.debug("ends_stop_unclean", error=repr(error))
