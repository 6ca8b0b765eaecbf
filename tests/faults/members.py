"""Strangers in a service's consumer group: they join, hold partitions, and leave or vanish."""

import asyncio
import random
import threading
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from tests.faults.background import beside

JOIN_SECONDS = 30.0


@dataclass
class Strangers:
    """Members of `group` that come and go until told to stop. None of them reads a record."""

    bootstrap: str
    group: str
    topic: str
    seed: str
    at_once: int = 1
    stay_seconds: float = 1.0
    vanish_share: float = 0.0
    """Share that goes without a word, so that only the end of its session tells."""
    joins: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)

    def coming_and_going(self) -> AbstractContextManager[None]:
        """They come and go for the block; all have left behind it."""
        return beside(self._run, self._ending)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self.at_once):
                group.create_task(self._live(random.Random(f"{self.seed}/{number}")))

    async def _live(self, chance: random.Random) -> None:
        while not self._ending.is_set():
            member = self._member(chance.choice(("a-stranger", "z-stranger")))
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(member.start(), JOIN_SECONDS)
                self.joins += 1
                await asyncio.sleep(chance.uniform(0, 2 * self.stay_seconds))
            vanishes = chance.random() < self.vanish_share
            await (_vanish(member) if vanishes else _leave(member))
            await asyncio.sleep(chance.uniform(0, 1.0))

    def _member(self, client_id: str) -> Any:
        # The range assignor goes by the members' names: of one name, and strangers would hold the
        # same partitions again and again, until somebody's watchdog barks.
        return AIOKafkaConsumer(
            self.topic,
            bootstrap_servers=self.bootstrap,
            group_id=self.group,
            client_id=client_id,
            enable_auto_commit=False,
            partition_assignment_strategy=(RangePartitionAssignor,),
            heartbeat_interval_ms=500,
            session_timeout_ms=6_000,
            rebalance_timeout_ms=3_000,
        )


async def _leave(member: Any) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(member.stop(), 5.0)


async def _vanish(member: Any) -> None:
    """End without telling the group."""
    member._coordinator._maybe_leave_group = _say_nothing
    await _leave(member)


async def _say_nothing() -> None:
    return None
