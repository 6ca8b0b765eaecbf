"""The one place that opens and commits transactions. Stores take an open one and never commit.

SQL is written set-wise with `text()`; arrays go in as `CAST(:name AS text[])` and `unnest`.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.errors import TransientError
from shared.settings import DatabaseSettings

Tx = AsyncConnection
"""An open transaction of a service's own database."""

# SQLSTATE classes that pass by themselves: connection, resources, operator, transaction rollback
# (serialisation failure, deadlock), and a lock or statement that waited too long.
TRANSIENT_SQLSTATES = ("08", "53", "57", "40", "55P03", "25P0")
BAD_DATA = "22000"


class DatabaseUnavailable(TransientError):
    """The database did not answer, or no connection came free in time."""

    code = "database_unavailable"


class Database:
    """A service's own database, seen through its own schema and role."""

    def __init__(self, url: str, *, schema: str, settings: DatabaseSettings) -> None:
        self.schema = schema
        self.engine: AsyncEngine = create_async_engine(
            connect_url(url),
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_wait_seconds,
            pool_pre_ping=False,
            connect_args={"timeout": 5, "server_settings": session_settings(schema, settings)},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """A transaction that commits when the block ends well and rolls back when it raises.

        Raises DatabaseUnavailable where the fault passes by itself, also at the commit: then the
        outcome is unknown and the caller must look before it tries again.
        """
        try:
            async with self.engine.begin() as tx:
                yield tx
        except (PoolTimeoutError, OSError, TimeoutError) as error:
            raise DatabaseUnavailable(f"database {self.schema}: {error}") from error
        except DBAPIError as error:
            if is_transient(error):
                raise DatabaseUnavailable(f"database {self.schema}: {error.orig}") from error
            raise

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[Tx]:
        """A transaction that is rolled back however the block ends: to see what would happen."""
        async with self.transaction() as tx:
            yield tx
            await tx.rollback()

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def connect_url(url: str) -> URL:
    """`postgresql://...` as SQLAlchemy wants it for asyncpg."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def session_settings(schema: str, settings: DatabaseSettings) -> dict[str, str]:
    """What every session of a service starts with. Milliseconds, as PostgreSQL wants them."""
    return {
        "application_name": schema,
        "search_path": schema,
        "timezone": "UTC",
        "statement_timeout": str(int(settings.statement_timeout_seconds * 1000)),
        "lock_timeout": str(int(settings.lock_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": "30000",
    }


def sqlstate(error: DBAPIError) -> str:
    """The five-letter SQLSTATE, empty where the fault has none (a broken connection).

    A value that the driver refuses to send, a number too large for its column or a text that is no
    Unicode, has that of bad data: to the driver that is the same class as a closed connection, but
    no wait mends it.
    """
    cause = error.orig.__cause__ if error.orig is not None else None
    if isinstance(cause, asyncpg.InterfaceError) and isinstance(cause, ValueError):
        return BAD_DATA
    return getattr(error.orig, "sqlstate", None) or ""


def is_transient(error: DBAPIError) -> bool:
    """Whether the same statement may succeed later without any change."""
    if error.connection_invalidated or isinstance(error, InterfaceError | OperationalError):
        return not sqlstate(error) or sqlstate(error).startswith(TRANSIENT_SQLSTATES)
    return sqlstate(error).startswith(TRANSIENT_SQLSTATES)


def day_partition(table: str, day: date) -> str:
    """Name of the partition of `table` that holds `day`."""
    return f"{table}_{day:%Y%m%d}"


async def ensure_day_partitions(tx: Tx, table: str, days: Collection[date]) -> None:
    """Make sure `table`, partitioned by range of `day`, can take rows of these days.

    Looks before it makes any: to make one locks the whole table for a moment.
    """
    missing = await rows(
        tx,
        "SELECT day FROM unnest(CAST(:days AS date[])) AS day"
        " WHERE to_regclass(:prefix || to_char(day, 'YYYYMMDD')) IS NULL ORDER BY day",
        {"days": sorted(days), "prefix": f"{table}_"},
    )
    if missing:
        await tx.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(current_schema() || :table))"),
            {"table": f".{table}"},
        )
    for row in missing:
        await tx.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {day_partition(table, row.day)} PARTITION OF {table} "
                f"FOR VALUES FROM ('{row.day}') TO ('{row.day + timedelta(days=1)}')"
            )
        )


async def drop_day_partitions(tx: Tx, table: str, *, before: date) -> list[str]:
    """Drop the partitions of `table` whose whole day lies before `before`; their names."""
    found = await tx.execute(
        text(
            "SELECT child.relname FROM pg_inherits"
            " JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = to_regclass(:parent) AND child.relname < :bound"
            " ORDER BY child.relname"
        ),
        {"parent": table, "bound": day_partition(table, before)},
    )
    names = [row.relname for row in found]
    for name in names:
        await tx.execute(text(f"DROP TABLE {name}"))
    return names


async def rows(tx: Tx, sql: str, arguments: Mapping[str, Any] | None = None) -> list[Any]:
    """All rows that `sql` answers, each with its columns as attributes. The query bounds them."""
    return list(await tx.execute(text(sql), arguments or {}))
