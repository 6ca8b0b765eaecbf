"""Brings a service's own schema up to date: Alembic, one schema and one role per service.

A service's `migrations/env.py` is the one line `run_migrations()`.
"""

from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.db import connect_url

LOCK_TIMEOUT = "5s"  # a migration that cannot get its lock gives up instead of blocking everyone


async def migrate(url: str, *, schema: str, directory: Path) -> None:
    """Create `schema` if need be and run all migrations of `directory` that it lacks."""
    engine = create_async_engine(
        connect_url(url),
        poolclass=NullPool,
        connect_args={"server_settings": {"search_path": schema, "lock_timeout": LOCK_TIMEOUT}},
    )
    try:
        async with engine.begin() as connection:
            # One at a time: two services' replicas may start at the same moment.
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('migrate'))"))
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            await connection.run_sync(_upgrade, schema, directory)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, schema: str, directory: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(directory))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, "head")


def run_migrations() -> None:
    """What every `migrations/env.py` does: run within the connection that `migrate` opened."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table_schema=attributes["schema"],
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
