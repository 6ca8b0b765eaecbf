"""The one connection of a rebuild: whoever has it is alone with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared.db import Database, Tx, rows, session_settings
from shared.errors import MainstayError
from shared.service.value import Service


class RebuildRuns(MainstayError):
    """Another rebuild of this service is running."""

    code = "rebuild_runs"


def database_of(service: Service) -> Database:
    """The database of a service that keeps one; the command has looked."""
    assert service.database is not None, f"{service.name} keeps no tables"
    return service.database


def url_of(service: Service) -> str:
    """The address of its database, with the password."""
    return database_of(service).engine.url.render_as_string(hide_password=False)


@asynccontextmanager
async def alone(service: Service) -> AsyncIterator[AsyncConnection]:
    """A connection that no other rebuild of the service can have. Raises RebuildRuns.

    It also does the swap: should it break, there is no swap, and another rebuild may begin.
    """
    database = database_of(service)
    settings = {
        **session_settings(database.schema, service.settings.database),
        "statement_timeout": "0",
        # A rebuild that is killed gives up its locks within seconds, also amid a long statement.
        "client_connection_check_interval": "2000",
    }
    engine = create_async_engine(
        database.engine.url,
        poolclass=NullPool,
        connect_args={"timeout": 5, "server_settings": settings},
    )
    try:
        async with engine.connect() as connection:
            async with connection.begin():
                await stay_alone(connection, service)
            yield connection
    finally:
        await engine.dispose()


async def stay_alone(tx: Tx, service: Service) -> None:
    """Hold the lock of rebuilds, until the connection ends. Raises RebuildRuns.

    Asked again before a swap: a connection that broke meanwhile has lost it.
    """
    (lock,) = await rows(
        tx,
        "SELECT pg_try_advisory_lock(hashtext('rebuild'), hashtext(:schema)) AS is_ours",
        {"schema": database_of(service).schema},
    )
    if not lock.is_ours:
        raise RebuildRuns(f"another rebuild of {service.name} is running")
