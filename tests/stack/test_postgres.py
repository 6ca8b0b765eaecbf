"""A service's role sees its own database and no other; nothing committed is lost to a crash."""

import asyncpg
import pytest

from deploy.local.ports import reserve
from deploy.local.postgres import databases
from deploy.local.postgres.programs import find_programs
from deploy.local.postgres.server import Postgres
from tests.support.stack import TemporaryStack, temporary_home

STRANGERS = ["health", "postgres", "template1"]


@pytest.mark.parametrize("database", STRANGERS)
async def test_role_of_one_service_cannot_connect_elsewhere(
    stack: TemporaryStack, database: str
) -> None:
    ingest = stack.addresses["ingest"]

    own = await asyncpg.connect(ingest.service_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(ingest.url(database))

    await own.close()


async def test_copied_database_belongs_to_its_service_alone(stack: TemporaryStack) -> None:
    ingest, health = stack.addresses["ingest"], stack.addresses["health"]
    databases.copy_database(
        ingest.administrator_url, source="template0", target="copied", owner=ingest.role
    )

    own = await asyncpg.connect(ingest.url("copied"))
    await own.execute("CREATE TABLE note (text text)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(health.url("copied"))

    await own.close()
    stack.drop_database("ingest", ingest.url("copied"))


async def test_commit_survives_kill_and_restart_on_the_same_port() -> None:
    with temporary_home() as home:
        port = reserve()
        postgres = Postgres(home, find_programs(), port.port)
        postgres.start()
        before = await asyncpg.connect(postgres.administrator_url())
        await before.execute("CREATE TABLE note AS SELECT 'kept' AS text")

        postgres.kill()
        postgres.start()

        after = await asyncpg.connect(postgres.administrator_url())
        assert await after.fetchval("SELECT text FROM note") == "kept"
        await after.close()
        postgres.stop()
        port.release()
