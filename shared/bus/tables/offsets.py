"""How far each group has read each partition: the row that decides who may apply a batch."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import text

from shared.bus.record import Partition
from shared.bus.slices import Span
from shared.db import Tx, rows
from shared.errors import MainstayError


class Fenced(MainstayError):
    """Another process has passed the offset: this batch is not ours to apply."""

    code = "fenced"


async def get_offsets(
    tx: Tx, group: str, partitions: Collection[Partition]
) -> dict[Partition, int]:
    """The next offset of each partition of `group` that has one."""
    found = await rows(
        tx,
        "SELECT topic, part, next_offset FROM consumer_offset WHERE grp = :grp",
        {"grp": group},
    )
    known = {Partition(row.topic, row.part): row.next_offset for row in found}
    return {partition: known[partition] for partition in partitions if partition in known}


async def create_offsets(
    tx: Tx, group: str, starts: Mapping[Partition, int], *, owner: str
) -> None:
    """Begin partitions at an explicit offset; one that has begun already stays as it is."""
    await tx.execute(
        text(
            "INSERT INTO consumer_offset (grp, topic, part, next_offset, owner)"
            " SELECT :grp, topic, part, start, :owner FROM"
            " unnest(CAST(:topics AS text[]), CAST(:parts AS integer[]), CAST(:starts AS bigint[]))"
            " AS u(topic, part, start) ON CONFLICT DO NOTHING"
        ),
        {
            "grp": group,
            "owner": owner,
            "topics": [partition.topic for partition in starts],
            "parts": [partition.number for partition in starts],
            "starts": list(starts.values()),
        },
    )


async def advance_offsets(
    tx: Tx, group: str, spans: Mapping[Partition, Span], *, owner: str
) -> datetime:
    """Move every partition from start to end, and nothing else: the first statement of a batch.

    The row locks it takes put zombies in line: whoever comes second moves no row. Answers the
    transaction's time. Raises Fenced when some partition does not stand at its start.
    """
    ordered = sorted(spans.items())
    moved = await rows(
        tx,
        "UPDATE consumer_offset o SET next_offset = u.finish, owner = :owner, updated_at = now()"
        " FROM (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:parts AS integer[]),"
        " CAST(:starts AS bigint[]), CAST(:ends AS bigint[])) AS u(topic, part, start, finish)) u"
        " WHERE o.grp = :grp AND o.topic = u.topic AND o.part = u.part"
        " AND o.next_offset = u.start RETURNING now() AS at",
        {
            "grp": group,
            "owner": owner,
            "topics": [partition.topic for partition, _ in ordered],
            "parts": [partition.number for partition, _ in ordered],
            "starts": [span.start for _, span in ordered],
            "ends": [span.end for _, span in ordered],
        },
    )
    if len(moved) != len(ordered):
        raise Fenced(f"{len(ordered) - len(moved)} of {len(ordered)} partitions have moved on")
    at: datetime = moved[0].at
    return at
