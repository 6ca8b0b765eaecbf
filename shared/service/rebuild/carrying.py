"""Copies rows from one schema to another within a database. Nothing here commits."""

from collections.abc import Iterable, Mapping

from sqlalchemy import text

from shared.db import Tx, rows
from shared.service.rebuild.catalog import Table, listed, named, quoted
from shared.service.rebuild.rules import AUDIT, LEASES, LETTERS, OFFSETS, OUTBOX


async def replace_all(tx: Tx, table: Table, *, source: str, target: str) -> None:
    """Let `table` in `target` hold the rows that it has in `source`, ids and sequences too."""
    await tx.execute(text(f"DELETE FROM {named(target, table.name)}"))
    await same_partitions(tx, table, source=source, target=target)
    await _insert(tx, table, source=source, target=target)
    await _same_sequences(tx, table, source=source, target=target)


async def replace_owned(tx: Tx, owned: Iterable[Table], *, source: str, target: str) -> None:
    """The same for tables that refer to each other, in the order in which they may be filled."""
    tables = list(owned)
    for table in reversed(tables):  # what refers to others goes first
        await tx.execute(text(f"DELETE FROM {named(target, table.name)}"))
    for table in tables:
        await replace_all(tx, table, source=source, target=target)


async def add_missing(tx: Tx, table: Table, *, source: str, target: str) -> None:
    """Add the rows of `source` whose key `target` does not have."""
    await same_partitions(tx, table, source=source, target=target)
    await _insert(tx, table, source=source, target=target, end=" ON CONFLICT DO NOTHING")


async def _insert(tx: Tx, table: Table, *, source: str, target: str, end: str = "") -> None:
    columns = listed(table.given)
    await tx.execute(
        text(
            f"INSERT INTO {named(target, table.name)} ({columns}) OVERRIDING SYSTEM VALUE"
            f" SELECT {columns} FROM {named(source, table.name)}{end}"
        )
    )


async def same_partitions(tx: Tx, table: Table, *, source: str, target: str) -> None:
    """Make the partitions that `source` has and `target` lacks, if it has any."""
    if not table.is_partitioned:
        return
    lacking = await rows(
        tx,
        "SELECT c.relname::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bound"
        " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(:parent) AND NOT EXISTS (SELECT FROM pg_class o"
        "   WHERE o.relnamespace = to_regnamespace(:target) AND o.relname = c.relname)"
        " ORDER BY c.relname",
        {"parent": named(source, table.name), "target": target},
    )
    for partition in lacking:
        await tx.execute(
            text(
                f"CREATE TABLE {named(target, partition.name)}"
                f" PARTITION OF {named(target, table.name)} {partition.bound}"
            )
        )


async def _same_sequences(tx: Tx, table: Table, *, source: str, target: str) -> None:
    """Let new rows of `target` get the numbers that they would have got in `source`."""
    for column in table.given:
        await tx.execute(
            text(
                "SELECT setval(target.name, s.last_value) FROM"
                " (SELECT pg_get_serial_sequence(:target, :column)::regclass AS name) AS target,"
                " (SELECT pg_sequence_last_value("
                "   pg_get_serial_sequence(:source, :column)::regclass) AS last_value) AS s"
                " WHERE target.name IS NOT NULL AND s.last_value IS NOT NULL"
            ),
            {
                "source": named(source, table.name),
                "target": named(target, table.name),
                "column": column,
            },
        )


# --- what operations own ------------------------------------------------------------------------


async def note_decisions(tx: Tx, *, source: str, target: str) -> None:
    """Let letters of `target` be redriven or discarded as their equals in `source` are."""
    decided = ("redriven_at", "redriven_by", "discarded_at", "discarded_by")
    await tx.execute(
        text(
            f"UPDATE {named(target, LETTERS)} t"
            f" SET {', '.join(f'{column} = s.{column}' for column in decided)}"
            f" FROM {named(source, LETTERS)} s WHERE {_same_record('s', 't')}"
            " AND (s.redriven_at IS NOT NULL OR s.discarded_at IS NOT NULL)"
        )
    )


async def foresee_decisions(tx: Tx, table: Table, *, source: str, target: str) -> None:
    """Put the letters of `source` that were redriven or discarded into `target`, which has none.

    Or else a replay in which a record fails again would park all that comes behind it.
    """
    columns = listed(table.given)
    await tx.execute(
        text(
            f"INSERT INTO {named(target, LETTERS)} ({columns}) SELECT {columns}"
            f" FROM {named(source, LETTERS)}"
            " WHERE redriven_at IS NOT NULL OR discarded_at IS NOT NULL ON CONFLICT DO NOTHING"
        )
    )


async def merge_letters(tx: Tx, table: Table, *, service: str, source: str, target: str) -> None:
    """Let `target` have the letters of `source`, under their ids, and those that only it has.

    But for letters of records that `target` has not read yet: it will come to them.
    """
    into, of, offsets = named(target, LETTERS), named(source, LETTERS), named(target, OFFSETS)
    await tx.execute(
        text(
            f"UPDATE {into} t SET behind = s.id FROM {into} b JOIN {of} s"
            f" ON {_same_record('s', 'b')} WHERE t.behind = b.id"
        )
    )
    await tx.execute(text(f"DELETE FROM {into} t USING {of} s WHERE {_same_record('s', 't')}"))
    columns = listed(table.given)
    await tx.execute(
        text(
            f"INSERT INTO {into} ({columns}) SELECT {columns} FROM {of} s"
            f" WHERE EXISTS (SELECT FROM {offsets} o WHERE o.grp = :service || '.' || s.lane"
            ' AND o.topic = s.topic AND o.part = s.part AND o.next_offset > s."offset")'
        ),
        {"service": service},
    )


def _same_record(one: str, other: str) -> str:
    columns = ("lane", "topic", "part", "offset")
    return " AND ".join(f"{one}.{quoted(name)} = {other}.{quoted(name)}" for name in columns)


async def carry_over(
    tx: Tx, tables: Mapping[str, Table], *, service: str, source: str, target: str
) -> None:
    """Let `target` go on with what `source` has decided, holds and waits to publish."""
    for name in (LEASES, OUTBOX, AUDIT):
        await replace_all(tx, tables[name], source=source, target=target)
    await merge_letters(tx, tables[LETTERS], service=service, source=source, target=target)
    for table in tables.values():
        await same_partitions(tx, table, source=source, target=target)
