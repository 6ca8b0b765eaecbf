"""`python -m shared.bus.topics BOOTSTRAP [REPLICATION_FACTOR]` creates all declared topics."""

import asyncio
import sys

from shared.bus.kafka import topics
from shared.events import TOPICS


async def create_topics(bootstrap: str, replication_factor: int) -> None:
    """Create every declared topic that is not there yet."""
    await topics.create(bootstrap, TOPICS.values(), replication_factor=replication_factor)


if __name__ == "__main__":
    asyncio.run(create_topics(sys.argv[1], int((sys.argv[2:] or ["1"])[0])))
