"""The least that could be done: consume, decode, add up in memory, merge into one table.

librdkafka, a struct of the few fields that are needed, one COPY and one merge a batch. No repeat is
dropped, no offset kept, no dead letter, no event caused, nothing is safe to kill: a limit to
measure a runtime against, not a program to run.
"""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import date, datetime

import asyncpg
import msgspec
from confluent_kafka import Consumer, Message, TopicPartition

BATCH = 20_000
Key = tuple[date, str, str]
Added = list[int | datetime]

TABLE = """CREATE TABLE rollup (
    day date NOT NULL, workspace text NOT NULL, account text COLLATE "C" NOT NULL,
    events bigint NOT NULL, first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,
    PRIMARY KEY (day, workspace, account)) WITH (fillfactor = 80)"""
MERGE = """INSERT INTO rollup AS r SELECT * FROM added
    ON CONFLICT (day, workspace, account) DO UPDATE SET events = r.events + excluded.events,
    first_at = least(r.first_at, excluded.first_at),
    last_at = greatest(r.last_at, excluded.last_at)"""


class Usage(msgspec.Struct):
    """What is needed of the data."""

    event: str
    feature: str


class UsageTracked(msgspec.Struct):
    """What is needed of the event."""

    id: str
    type: str
    time: datetime
    workspace: str
    subject: str
    data: Usage


decode = msgspec.json.Decoder(UsageTracked).decode


def rolled_up(messages: Sequence[Message]) -> list[tuple[object, ...]]:
    """One row for each account and day, in the order of the key."""
    days: dict[Key, Added] = {}
    for message in messages:
        event = decode(message.value() or b"")
        at = event.time
        key = at.date(), event.workspace, event.subject
        known = days.get(key)
        if known is None:
            days[key] = [1, at, at]
        else:
            known[0] += 1  # type: ignore[operator]
            known[1], known[2] = min(known[1], at), max(known[2], at)
    return [(*key, *added) for key, added in sorted(days.items())]


async def run(*, bootstrap: str, topic: str, partitions: int, database_url: str) -> None:
    """Work `topic` off from its beginning until killed."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLE)
    await connection.execute("CREATE TEMP TABLE added (LIKE rollup)")
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bare"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    while True:
        messages = consumer.consume(BATCH, timeout=0.2)
        if messages:
            async with connection.transaction():
                await connection.copy_records_to_table("added", records=rolled_up(messages))
                await connection.execute(MERGE)
                await connection.execute("TRUNCATE added")


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", required=True, type=int)
    parser.add_argument("--database-url", required=True)
    arguments = parser.parse_args()
    asyncio.run(
        run(
            bootstrap=arguments.bootstrap,
            topic=arguments.topic,
            partitions=arguments.partitions,
            database_url=arguments.database_url,
        )
    )


if __name__ == "__main__":
    main()
