"""The ids that came in a moment ago, so that a batch sent again is not produced again.

Each id points to the ack of the flush it went with, and counts as seen only once that ack is good:
an id claimed before would turn a failed write and its retry into a silent loss. Consumers' inboxes
stay the truth for what slips through a restart.
"""

import asyncio
from collections.abc import Iterable

Ack = asyncio.Future[int]


def unique_id(workspace: str, event_id: str) -> str:
    """What tells an event from all others: ids are unique within a workspace only."""
    return f"{workspace} {event_id}"


class Recent:
    """Two generations of ids: when the young one is full, the old one is forgotten."""

    def __init__(self, generation_ids: int) -> None:
        self._generation_ids = generation_ids
        self._young: dict[str, Ack] = {}
        self._old: dict[str, Ack] = {}

    def ack(self, unique: str) -> Ack | None:
        """The ack, good or still awaited, of an event that came before; None for a new one."""
        found = self._young.get(unique) or self._old.get(unique)
        if found is None or (found.done() and found.exception() is not None):
            return None
        return found

    def remember(self, unique: str, ack: Ack) -> None:
        """Note that an event is on its way with `ack`."""
        if len(self._young) >= self._generation_ids:
            self._old, self._young = self._young, {}
        self._young[unique] = ack

    def warm(self, ids: Iterable[tuple[str, str]]) -> None:
        """Begin with (workspace, event id) pairs that are known to stand in Kafka."""
        stands: Ack = asyncio.get_running_loop().create_future()
        stands.set_result(0)
        for workspace, event_id in ids:
            self.remember(unique_id(workspace, event_id), stands)
