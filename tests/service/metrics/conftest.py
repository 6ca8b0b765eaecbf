"""The books of a test: real tables, a log in memory, the service's own door."""

from collections.abc import AsyncIterator

import pytest

from shared.db import Database
from shared.settings import DatabaseSettings
from tests.conftest import FreshDatabase
from tests.service.metrics.books import Books, asking, door


@pytest.fixture
async def books(fresh_database: FreshDatabase) -> AsyncIterator[Books]:
    """Empty books of a workspace in euros and UTC."""
    database = Database(fresh_database("metrics"), schema="metrics", settings=DatabaseSettings())
    app = door(database)
    async with asking(app) as http:
        made = Books(database, app, http)
        await made.configure()
        yield made
    await database.close()
