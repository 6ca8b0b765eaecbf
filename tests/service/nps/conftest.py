"""The desk of a test: real tables, a log in memory, the service's own door."""

from collections.abc import AsyncIterator

import pytest

from shared.db import Database
from shared.settings import DatabaseSettings
from tests.conftest import FreshDatabase
from tests.service.nps.desk import Desk, asking, door


@pytest.fixture
async def desk(fresh_database: FreshDatabase) -> AsyncIterator[Desk]:
    """The tables of a workspace that nobody has told anything of."""
    database = Database(fresh_database("nps"), schema="nps", settings=DatabaseSettings())
    app = door(database)
    async with asking(app) as http:
        made = Desk(database, app, http)
        await made.configure()
        yield made
    await database.close()
