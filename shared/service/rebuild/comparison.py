"""Whether the tables of two schemas hold the same rows, and which rows differ.

Rows are compared as text, hashed, by sums that no order changes. A quarter thousand sums a table,
one for each bucket of hashes: where one differs, only its rows have to be looked at. That takes
a second or two for a million rows; what was touched since is then compared in a fraction of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.db import Tx, rows
from shared.service.rebuild.catalog import Table, listed, named, quoted

BUCKETS = 256
LOOKED_AT_BUCKETS = 4  # of a table that differs: enough to show what is wrong
SHOWN_ROWS = 5  # of each side


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What is compared: `lines` is SQL for one text a row, with {schema} for the schema's name."""

    name: str
    lines: str
    meaning: str
    """What a line tells, in order."""


class Sums(NamedTuple):
    """Count, sum and exclusive or of the hashes of a bucket: a pair of errors shows in one."""

    rows: int
    sum: int
    xor: int


Digest = Mapping[int, Sums]
"""The sums of each bucket that has rows."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How a relation stands on both sides, with some rows of those that only one side has."""

    relation: Relation
    live_rows: int
    shadow_rows: int
    differs: bool
    only_live: Sequence[str]
    only_shadow: Sequence[str]


Side = tuple[Tx, str]
"""A transaction that sees one side, and the schema of that side."""


def whole(table: Table) -> Relation:
    """All rows of a table, all columns."""
    columns = listed(table.columns, of="t")
    return Relation(
        name=table.name,
        lines=f"SELECT ROW({columns})::text AS line FROM {{schema}}.{quoted(table.name)} t",
        meaning=", ".join(table.columns),
    )


async def digest(tx: Tx, schema: str, relation: Relation) -> Digest:
    """The sums of a relation in `schema`."""
    found = await rows(
        tx,
        f"SELECT h & {BUCKETS - 1} AS bucket, count(*) AS rows, sum(h) AS sum, bit_xor(h) AS xor"
        f" FROM (SELECT hashtextextended(line, 0) AS h FROM ({_lines(relation, schema)}) AS l)"
        " AS hashed GROUP BY 1",
    )
    return {row.bucket: Sums(row.rows, int(row.sum), row.xor) for row in found}


async def digests(tx: Tx, schema: str, relations: Iterable[Relation]) -> dict[str, Digest]:
    """The sums of several relations, by their names."""
    return {relation.name: await digest(tx, schema, relation) for relation in relations}


async def compare(
    relations: Iterable[Relation], live_digests: Mapping[str, Digest], *, live: Side, shadow: Side
) -> list[Compared]:
    """How each relation stands on both sides.

    Two transactions, because the live side may be looked at as it stood a while ago.
    """
    found = []
    for relation in relations:
        ours = live_digests[relation.name]
        theirs = await digest(*shadow, relation)
        found.append(await _compared(relation, ours, theirs, live=live, shadow=shadow))
    return found


async def _compared(
    relation: Relation, ours: Digest, theirs: Digest, *, live: Side, shadow: Side
) -> Compared:
    looked_at = differing(ours, theirs)[:LOOKED_AT_BUCKETS]
    only_live = await _lines_in(*live, relation, looked_at) if looked_at else set()
    only_shadow = await _lines_in(*shadow, relation, looked_at) if looked_at else set()
    return Compared(
        relation=relation,
        live_rows=_rows(ours),
        shadow_rows=_rows(theirs),
        differs=bool(looked_at),
        only_live=sorted(only_live - only_shadow)[:SHOWN_ROWS],
        only_shadow=sorted(only_shadow - only_live)[:SHOWN_ROWS],
    )


def differing(ours: Digest, theirs: Digest) -> list[int]:
    """The buckets whose sums differ, in order."""
    return sorted(
        bucket for bucket in ours.keys() | theirs.keys() if ours.get(bucket) != theirs.get(bucket)
    )


def _rows(found: Digest) -> int:
    return sum(sums.rows for sums in found.values())


async def _lines_in(tx: Tx, schema: str, relation: Relation, buckets: Sequence[int]) -> set[str]:
    """The rows in these buckets. Not bounded: a bucket is a 256th of its table."""
    found = await rows(
        tx,
        f"SELECT line FROM ({_lines(relation, schema)}) AS l"
        f" WHERE hashtextextended(line, 0) & {BUCKETS - 1} = ANY(CAST(:buckets AS bigint[]))",
        {"buckets": buckets},
    )
    return {row.line for row in found}


def _lines(relation: Relation, schema: str) -> str:
    return relation.lines.format(schema=quoted(schema))


# --- what was touched since ----------------------------------------------------------------------


async def present(tx: Tx) -> str:
    """A number of a transaction: all rows that this one does not see yet are written by later ones.

    And so may be some that it sees.
    """
    (found,) = await rows(
        tx,
        "SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint & 4294967295)::text AS xid",
    )
    xid: str = found.xid
    return xid


async def compare_touched(
    tx: Tx, table: Table, *, live: str, live_since: str, shadow: str, shadow_since: str
) -> Compared:
    """Whether the rows that were written since are equal, and as many stand on both sides.

    `live` and `shadow` are schemas, `since` what `present` answered when they were compared as a
    whole. Rows by their key, because what was written on one side may have been so before on the
    other. Nobody may write meanwhile.
    """
    ours, theirs = named(live, table.name), named(shadow, table.name)
    (counted,) = await rows(
        tx,
        f"SELECT (SELECT count(*) FROM {ours}) AS live, (SELECT count(*) FROM {theirs}) AS shadow",
    )
    keys, first = listed(table.key), quoted(table.key[0])
    sides = {of: f"ROW({listed(table.columns, of=of)})::text" for of in ("l", "s")}
    found = await rows(
        tx,
        f"WITH touched AS (SELECT {keys} FROM {ours}"
        " WHERE age(xmin) <= age(CAST(CAST(:live_since AS text) AS xid))"
        f" UNION SELECT {keys} FROM {theirs}"
        " WHERE age(xmin) <= age(CAST(CAST(:shadow_since AS text) AS xid)))"
        f" SELECT CASE WHEN l.{first} IS NOT NULL THEN {sides['l']} END AS live,"
        f" CASE WHEN s.{first} IS NOT NULL THEN {sides['s']} END AS shadow"
        f" FROM touched LEFT JOIN {ours} l USING ({keys}) LEFT JOIN {theirs} s USING ({keys})"
        f" WHERE {sides['l']} <> {sides['s']} ORDER BY 1, 2 LIMIT {SHOWN_ROWS}",
        {"live_since": live_since, "shadow_since": shadow_since},
    )
    return Compared(
        relation=whole(table),
        live_rows=counted.live,
        shadow_rows=counted.shadow,
        differs=bool(found) or counted.live != counted.shadow,
        only_live=[row.live for row in found if row.live is not None],
        only_shadow=[row.shadow for row in found if row.shadow is not None],
    )
