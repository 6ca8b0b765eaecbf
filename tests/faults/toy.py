"""A small service on the real runtime that notes every single event it applies, in order.

Health keeps rollups, from which a loss and a doubling of equal size cannot be told. The toy keeps a
row per event, a shared tally, and causes one event each, so that the oracle sees all there is.
It lives in the database of metrics, under that name: `python -m tests.faults.toy run`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from sqlalchemy import text

from services.metrics.settings import MetricsSettings
from shared.bus.handlers import Batch, BatchFold, Lane
from shared.db import Database, Tx
from shared.events.base import Caused, Event, Received, Topic
from shared.events.ingest import USAGE, UsageTracked
from shared.service import Service, main

BUCKETS = 4  # rows that events of all partitions share: who locks them in any order deadlocks

NOTED = Topic(
    name="metrics.toy.v1",
    producer="metrics",
    description="What the toy has seen, one event each.",
    key="<workspace>/<account>",
    partitions=12,
)

TABLES = (
    """CREATE TABLE metrics.seen (
        n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        workspace text NOT NULL,
        account text NOT NULL,
        event_id text NOT NULL,
        seq bigint NOT NULL CHECK (seq >= 0),
        marker text NOT NULL,
        part integer NOT NULL,
        "offset" bigint NOT NULL)""",
    """CREATE TABLE metrics.tally (
        workspace text NOT NULL,
        bucket integer NOT NULL,
        events bigint NOT NULL,
        PRIMARY KEY (workspace, bucket))""",
)


class Noted(Event, frozen=True, kw_only=True):
    """Published for every event that the toy has seen."""

    type: ClassVar[str] = "metrics.noted.v1"
    topic: ClassVar[Topic] = NOTED

    seq: int


class Properties(msgspec.Struct):
    """What the traffic puts into an event."""

    seq: int
    marker: str


async def note(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """One row an event, one addition a bucket, one caused event an event."""
    properties = [_properties(received) for received in batch]
    await tx.execute(
        text(
            'INSERT INTO seen (workspace, account, event_id, seq, marker, part, "offset")'
            " SELECT w, a, i, s, m, p, o FROM unnest(CAST(:w AS text[]), CAST(:a AS text[]),"
            " CAST(:i AS text[]), CAST(:s AS bigint[]), CAST(:m AS text[]),"
            " CAST(:p AS integer[]), CAST(:o AS bigint[]))"
            " WITH ORDINALITY AS u(w, a, i, s, m, p, o, n) ORDER BY n"
        ),
        {
            "w": [received.envelope.workspace for received in batch],
            "a": [received.envelope.subject for received in batch],
            "i": [received.envelope.id for received in batch],
            "s": [found.seq for found in properties],
            "m": [found.marker for found in properties],
            "p": [received.partition for received in batch],
            "o": [received.offset for received in batch],
        },
    )
    await _tally(tx, batch, properties)
    return [
        Caused(
            event=Noted(seq=found.seq),
            workspace=received.envelope.workspace,
            cause_id=received.envelope.id,
            time=received.envelope.time,
            subject=received.envelope.subject,
        )
        for received, found in zip(batch, properties, strict=True)
    ]


async def _tally(tx: Tx, batch: Batch, properties: Sequence[Properties]) -> None:
    """Add to the shared rows, a statement each: the order of the statements is that of locks."""
    counts = Counter(
        (received.envelope.workspace, found.seq % BUCKETS)
        for received, found in zip(batch, properties, strict=True)
    )
    for workspace, bucket in in_lock_order(counts):
        await tx.execute(
            text(
                "INSERT INTO tally AS t (workspace, bucket, events) VALUES (:w, :b, :n)"
                " ON CONFLICT (workspace, bucket) DO UPDATE SET events = t.events + excluded.events"
            ),
            {"w": workspace, "b": bucket, "n": counts[workspace, bucket]},
        )


def in_lock_order(keys: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The order in which everybody locks."""
    return sorted(keys)


def _properties(received: Received[Any]) -> Properties:
    return msgspec.json.decode(received.event.properties, type=Properties)


def build() -> Service:
    """The toy, put together from the settings of metrics."""
    settings = MetricsSettings()
    return Service(
        name="metrics",
        description="Notes every event it applies.",
        settings=settings,
        routers=(),
        database=Database(
            settings.database_url.get_secret_value(), schema="metrics", settings=settings.database
        ),
        lanes=(
            Lane(
                name="toy",
                topics=(USAGE,),
                folds=(BatchFold(on=(UsageTracked,), handle=note),),
            ),
        ),
    )


if __name__ == "__main__":
    main(build)
