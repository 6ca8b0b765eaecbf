"""The shadow schema before anything is folded into it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import Database
from shared.errors import MainstayError
from shared.service.rebuild.catalog import (
    Table,
    drop_schema,
    list_schemas,
    list_tables,
    named,
)
from shared.service.rebuild.session import database_of, url_of
from shared.service.value import Service


class NotMigrated(MainstayError):
    """The live tables are not those that this code makes: migrate first."""

    code = "not_migrated"


class SchemaUnknown(MainstayError):
    """There is no shadow to go on with, or no schema of that name to return to."""

    code = "schema_unknown"


def shadow_of(service: Service) -> Database:
    """The service's database, seen through the shadow schema."""
    return Database(
        url_of(service),
        schema=f"{database_of(service).schema}_shadow",
        settings=service.settings.database,
    )


async def prepared(
    service: Service, connection: AsyncConnection, shadow: str, *, resume: bool
) -> dict[str, Table]:
    """The tables of the shadow, made anew or as they were left, which are those of live too.

    Raises NotMigrated, SchemaUnknown.
    """
    # Here, not on top: Alembic is an eighth of every start, and only this needs it.
    from shared.migrate import migrate  # noqa: PLC0415

    assert service.migrations is not None, "a service with a database has migrations"
    async with connection.begin():
        if resume and shadow not in await list_schemas(connection, begins_with=shadow):
            raise SchemaUnknown(f"there is no schema {shadow} to go on with")
        if not resume:
            await drop_schema(connection, shadow)
    await migrate(url_of(service), schema=shadow, directory=service.migrations)
    async with connection.begin():
        tables = await list_tables(connection, shadow)
        live = await list_tables(connection, database_of(service).schema)
    if tables != live:
        raise NotMigrated(f"the tables of {service.name} are not those of this code")
    return tables


async def analyze(shadow: Database, tables: dict[str, Table]) -> None:
    """Let the planner know the tables before it has to read them for a live service."""
    async with shadow.transaction() as tx:
        await tx.execute(text("SET LOCAL statement_timeout = 0"))
        for name in tables:
            await tx.execute(text(f"ANALYZE {named(shadow.schema, name)}"))
