"""Dead letters as an earlier build left them: the code that runs now can apply their records."""

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import text

from deploy.local.waiting import ask
from shared.bus import tables
from shared.bus.memory import MemoryRecord
from shared.bus.tables import DeadLetter, dead_letter
from shared.db import Database
from shared.events.base import Received
from shared.settings import DatabaseSettings
from tests.unit.health.builders import wire

# Far behind what a test writes to Kafka, so that no record of a topic has such a place.
_offsets = count(10_000_000)


def keep_letters(
    url: str,
    service: str,
    events: Sequence[Received[Any]],
    *,
    lane: str = "live",
    code: str = "too_odd",
    behind: str | None = None,
    dead_at: datetime | None = None,
) -> list[str]:
    """Ids of the open letters that these events are now, in order."""
    letters = [
        dead_letter(
            lane,
            MemoryRecord(
                event.topic,
                0,
                next(_offsets),
                int(event.appended_at.timestamp() * 1000),
                event.envelope.partitionkey.encode(),
                wire(event),
            ),
            event.envelope,
            code=code,
            message="an earlier build could not",
            behind=behind,
        )
        for event in events
    ]
    ask(_append(url, service, lane, letters, dead_at))
    return [letter.id for letter in letters]


async def _append(
    url: str, service: str, lane: str, letters: Sequence[DeadLetter], dead_at: datetime | None
) -> None:
    database = Database(url, schema=service, settings=DatabaseSettings(pool_size=1))
    try:
        async with database.transaction() as tx:
            await tables.append_dead_letters(tx, lane, letters)
            if dead_at is not None:
                await tx.execute(
                    text(
                        "UPDATE dead_letter SET dead_at = :at WHERE id = ANY(CAST(:ids AS uuid[]))"
                    ),
                    {"at": dead_at, "ids": [letter.id for letter in letters]},
                )
    finally:
        await database.close()
