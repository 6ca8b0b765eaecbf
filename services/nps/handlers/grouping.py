"""Events workspace by workspace: a statement speaks of one."""

from collections import defaultdict
from typing import Any

from shared.bus.handlers import Batch
from shared.events.base import Received


def by_workspace(batch: Batch) -> list[tuple[str, list[Received[Any]]]]:
    """The events of each workspace in arrival order, the workspaces in theirs."""
    found: defaultdict[str, list[Received[Any]]] = defaultdict(list)
    for received in batch:
        found[received.envelope.workspace].append(received)
    return sorted(found.items())
