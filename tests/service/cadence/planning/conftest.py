"""A desk on tables of its own, and a mail server, for every test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from shared.db import Database
from shared.settings import DatabaseSettings
from tests.conftest import FreshDatabase
from tests.service.cadence.planning.desk import Desk
from tests.support.smtp import MailServer, mail_server


@pytest.fixture
async def desk(fresh_database: FreshDatabase) -> AsyncIterator[Desk]:
    """Empty tables of cadence."""
    database = Database(fresh_database("cadence"), schema="cadence", settings=DatabaseSettings())
    yield Desk(database)
    await database.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server that takes everything."""
    with mail_server() as server:
        yield server
