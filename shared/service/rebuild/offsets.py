"""How far the tables of a schema are folded."""

from collections.abc import Mapping

from shared.bus.record import Partition
from shared.db import Tx, rows
from shared.service.rebuild.catalog import named
from shared.service.rebuild.rules import OFFSETS

Offsets = Mapping[str, Mapping[Partition, int]]
"""The next offset of each partition, by the group that reads it."""


async def get_offsets(tx: Tx, schema: str) -> Offsets:
    """How far the service whose tables stand in `schema` has read."""
    found = await rows(
        tx, f"SELECT grp, topic, part, next_offset FROM {named(schema, OFFSETS)} ORDER BY 1, 2, 3"
    )
    offsets: dict[str, dict[Partition, int]] = {}
    for row in found:
        offsets.setdefault(row.grp, {})[Partition(row.topic, row.part)] = row.next_offset
    return offsets
