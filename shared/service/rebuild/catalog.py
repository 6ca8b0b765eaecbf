"""What stands in a schema: its tables with their columns, and the schemas themselves."""

from dataclasses import dataclass

from sqlalchemy import text

from shared.db import Tx, rows

VERSIONS = "alembic_version"  # which migrations a schema has; no table of ours


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a schema, partitions apart."""

    name: str
    columns: tuple[str, ...]
    """All, by name: two schemas may hold them in another order."""
    given: tuple[str, ...]
    """Those that an insert gives, in the same order: not the ones that follow from others."""
    key: tuple[str, ...]
    """Those of the primary key, in any order."""
    is_partitioned: bool


def quoted(name: str) -> str:
    """A name as SQL wants it where it cannot be bound."""
    return '"' + name.replace('"', '""') + '"'


def named(schema: str, table: str) -> str:
    """A table of a schema, whatever the search path is."""
    return f"{quoted(schema)}.{quoted(table)}"


def listed(columns: tuple[str, ...], *, of: str = "") -> str:
    """Columns as SQL lists them, each of alias `of` where one is given."""
    prefix = f"{of}." if of else ""
    return ", ".join(prefix + quoted(column) for column in columns)


async def list_tables(tx: Tx, schema: str) -> dict[str, Table]:
    """The tables of `schema` by name, but for the one that counts migrations."""
    columns = (
        "ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid"
        " AND a.attnum > 0 AND NOT a.attisdropped{but} ORDER BY a.attname::text)"
    )
    given = columns.format(but=" AND a.attgenerated = ''")
    key = columns.format(
        but=" AND a.attnum = ANY(SELECT unnest(i.indkey) FROM pg_index i"
        " WHERE i.indrelid = c.oid AND i.indisprimary)"
    )
    found = await rows(
        tx,
        "SELECT c.relname::text AS name, c.relkind = 'p' AS is_partitioned,"
        f" {columns.format(but='')} AS columns, {given} AS given, {key} AS key"
        " FROM pg_class c WHERE c.relnamespace = to_regnamespace(:schema)"
        " AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> :versions"
        " ORDER BY c.relname::text",
        {"schema": schema, "versions": VERSIONS},
    )
    return {
        row.name: Table(
            name=row.name,
            columns=tuple(row.columns),
            given=tuple(row.given),
            key=tuple(row.key),
            is_partitioned=row.is_partitioned,
        )
        for row in found
    }


async def list_schemas(tx: Tx, *, begins_with: str) -> list[str]:
    """The schemas whose names begin so, in order."""
    found = await rows(
        tx,
        "SELECT nspname::text AS name FROM pg_namespace"
        " WHERE starts_with(nspname::text, :begin) ORDER BY 1",
        {"begin": begins_with},
    )
    return [row.name for row in found]


async def drop_schema(tx: Tx, schema: str) -> None:
    """Drop a schema with all that is in it, if it is there."""
    await tx.execute(text(f"DROP SCHEMA IF EXISTS {quoted(schema)} CASCADE"))


async def rename_schema(tx: Tx, schema: str, *, to: str) -> None:
    """Rename a schema. Whoever asks for its tables by name finds those that now bear it."""
    await tx.execute(text(f"ALTER SCHEMA {quoted(schema)} RENAME TO {quoted(to)}"))
