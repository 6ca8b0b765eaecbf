"""A toy service with topics and tables of its own, rebuilt in this very process."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import text

from shared.bus.consumer import Consumer
from shared.bus.handlers import BatchFold, Lane
from shared.bus.kafka.log import LogReader
from shared.bus.record import HEADERS, Partition
from shared.db import Database, Tx, rows
from shared.events.base import Received, Topic
from shared.events.ingest import UsageTracked
from shared.migrate import migrate
from shared.service import Service
from shared.service.rebuild.conduct import Choices, rebuild
from shared.settings import DatabaseSettings, KafkaSettings, ServiceSettings
from tests.bus.conftest import wire

MIGRATIONS = Path(__file__).parent / "toy_migrations"
PARTITIONS = 3
TODAY = datetime.now(UTC)
Fold = Callable[[Tx, Sequence[Received[Any]]], Awaitable[list[Any]]]


async def count_use(tx: Tx, batch: Sequence[Received[Any]]) -> list[Any]:
    """One more for the account of each event."""
    counts = Counter((found.envelope.workspace, found.envelope.subject) for found in batch)
    for (workspace, account), events in sorted(counts.items()):
        await tx.execute(
            text(
                "INSERT INTO tally AS t VALUES (:workspace, :account, :events)"
                " ON CONFLICT (workspace, account) DO UPDATE SET events = t.events + :events"
            ),
            {"workspace": workspace, "account": account, "events": events},
        )
    return []


@dataclass
class ToyService:
    """A live and a history lane on topics of their own, whose records have the times we say."""

    bootstrap: str
    database_url: str
    fold: Fold = count_use
    parks_keys: bool = False
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        name = f"metrics.toy.{uuid4().hex[:8]}"  # of its own: it tells no progress of these
        self.live_topic = self._topic(f"{name}.use.v1")
        self.history_topic = self._topic(f"{name}.history.v1")
        self.database = Database(self.database_url, schema="toy", settings=DatabaseSettings())
        self.kafka = KafkaSettings(bootstrap=self.bootstrap)

    @property
    def service(self) -> Service:
        """The service as its `__main__` would build it."""
        fold = BatchFold(on=(UsageTracked,), handle=self.fold)
        live = Lane(
            name="live", topics=(self.live_topic,), folds=(fold,), parks_keys=self.parks_keys
        )
        history = Lane(name="history", topics=(self.history_topic,), folds=(fold,), keeps_ids=True)
        return Service(
            name="metrics",
            description="Counts use.",
            settings=ServiceSettings(port=0, kafka=self.kafka),
            routers=(),
            database=self.database,
            migrations=MIGRATIONS,
            lanes=(live, history),
            owned_tables=("note", "remark"),
            outliving_tables=("trace",),
        )

    async def prepare(self) -> None:
        """Make its topics and tables."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            # The client's own times, so that a test may make many days in a moment.
            configs = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
            topics = [
                NewTopic(topic.name, PARTITIONS, 1, topic_configs=configs)
                for topic in (self.live_topic, self.history_topic)
            ]
            await admin.create_topics(topics)
        finally:
            await admin.close()
        await migrate(self.database_url, schema="toy", directory=MIGRATIONS)

    async def publish(
        self, *ids: str, lane: str = "live", at: datetime = TODAY, value: bytes | None = None
    ) -> None:
        """Use of account `acme` under these ids, appended at this time."""
        topic = self.live_topic if lane == "live" else self.history_topic
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await producer.start()
        try:
            for event_id in ids:
                await producer.send_and_wait(
                    topic.name,
                    value or wire(event_id, time=at),
                    key=b"w1/acme",
                    partition=0,
                    timestamp_ms=int(at.timestamp() * 1000),
                    headers=HEADERS,
                )
        finally:
            await producer.stop()

    async def fold_live(self, *, batch_records: int = 1000) -> None:
        """What the live service does: fold all that stands in its topics now."""
        for lane in self.service.lanes:
            consumer = await self.reading(lane, batch_records=batch_records)
            await consumer.catch_up(asyncio.Event())
            await consumer._reader.stop()

    async def reading(self, lane: Lane | None = None, *, batch_records: int = 1000) -> Consumer:
        """A consumer of a lane, the live one unless said, that reads to the present end."""
        lane = lane or self.service.lanes[0]
        settings = self.kafka.model_copy(update={"batch_records": batch_records})
        partitions = [
            Partition(topic.name, number) for topic in lane.topics for number in range(PARTITIONS)
        ]
        reader = LogReader(partitions=partitions, client_id="live", settings=settings)
        await reader.start()
        consumer = Consumer(
            service="metrics",
            lane=lane,
            database=self.database,
            reader=reader,
            settings=settings,
            owner="live",
        )
        await self.read_on(consumer)
        return consumer

    @staticmethod
    async def read_on(consumer: Consumer) -> None:
        """Let it read to the end that its topics have now."""
        assert isinstance(consumer._reader, LogReader)
        consumer._reader.read_to(await consumer._reader.end_offsets())

    async def rebuild(self, **choices: bool) -> None:
        """What the command does."""
        await rebuild(self.service, Choices(**choices), self.said.append)

    async def ask(self, sql: str) -> list[Any]:
        """The rows that `sql` answers in the live tables."""
        async with self.database.transaction() as tx:
            return [tuple(row) for row in await rows(tx, sql)]

    async def do(self, sql: str) -> None:
        """Change the live tables."""
        async with self.database.transaction() as tx:
            await tx.execute(text(sql))

    async def counted(self) -> int:
        """Events of the account."""
        found = await self.ask("SELECT events FROM tally")
        return int(found[0][0]) if found else 0

    @staticmethod
    def _topic(name: str) -> Topic:
        return Topic(
            name=name, producer="test", description="", key="account", partitions=PARTITIONS
        )
