"""Puts one schema in another's place, in one transaction, while the service runs.

Writers wait, readers do not. A statement that waits for a lock, or whose plan was made before,
finds its tables by name again: the names then mean the new ones. Should one hold on to an old table
all the same, it finds no offset row and no lease there, is fenced, and reads its place anew.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import text

from shared.db import Tx, rows
from shared.service.rebuild.catalog import (
    Table,
    drop_schema,
    list_schemas,
    named,
    rename_schema,
)
from shared.service.rebuild.rules import LEASES, LETTERS, OFFSETS, OUTBOX

RETIRED = "_retired_"
AT_SWAP = "consumer_offset_at_swap"  # in a retired schema: where it stood, for the way back
RETIRED_HOURS = 24  # how long a retired schema is kept


def retired_begin(schema: str) -> str:
    """How the names of retired schemas begin."""
    return f"{schema}{RETIRED}"


async def stop_consumers(tx: Tx, schema: str) -> None:
    """Let no batch be applied until this transaction ends; those that are, end first."""
    await _lock(tx, schema, OFFSETS)


async def stop_writers(
    tx: Tx, schema: str, tables: Mapping[str, Table], owned: Iterable[Table]
) -> None:
    """Let nothing be written until this transaction ends; `stop_consumers` came before.

    In the order in which writers lock them: first what jobs, redrives and requests begin with,
    last what all of them end with.
    """
    for table in tables.values():
        if table.is_partitioned:  # nobody makes a day that would stand in the wrong schema
            await tx.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"),
                {"name": f"{schema}.{table.name}"},
            )
    first = [OFFSETS, LEASES, LETTERS, *(table.name for table in owned)]
    between = [name for name in tables if name not in {*first, OUTBOX}]
    for name in (*first, *between, OUTBOX):
        await _lock(tx, schema, name)


async def _lock(tx: Tx, schema: str, table: str) -> None:
    """Readers go on; whoever has written there has ended, and nobody else begins."""
    await tx.execute(text(f"LOCK TABLE {named(schema, table)} IN EXCLUSIVE MODE"))


async def swap(tx: Tx, schema: str, shadow: str) -> str:
    """Rename `schema` out of the way and `shadow` into its place; the retired one's name."""
    await tx.execute(
        text(f"CREATE TABLE {named(schema, AT_SWAP)} AS TABLE {named(schema, OFFSETS)}")
    )
    for name in (OFFSETS, LEASES):
        await tx.execute(text(f"DELETE FROM {named(schema, name)}"))
    (clock,) = await rows(tx, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS') AS now")
    retired = f"{retired_begin(schema)}{clock.now}"
    await rename_schema(tx, schema, to=retired)
    await rename_schema(tx, shadow, to=schema)
    return retired


async def stand_where_retired(tx: Tx, retired: str) -> None:
    """Give a retired schema its offsets back."""
    offsets, kept = named(retired, OFFSETS), named(retired, AT_SWAP)
    await tx.execute(text(f"DELETE FROM {offsets}"))
    await tx.execute(text(f"INSERT INTO {offsets} SELECT * FROM {kept}"))
    await tx.execute(text(f"DROP TABLE {kept}"))


async def drop_retired(tx: Tx, schema: str, *, before: datetime | None = None) -> list[str]:
    """Drop the retired schemas of `schema`, those retired before an instant if given."""
    begin = retired_begin(schema)
    bound = "" if before is None else f"{before:%Y%m%d%H%M%S}"
    dropped = [
        name
        for name in await list_schemas(tx, begins_with=begin)
        if before is None or name.removeprefix(begin) < bound
    ]
    for name in dropped:
        await drop_schema(tx, name)
    return dropped
