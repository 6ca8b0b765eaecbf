"""An office on tables of its own, and a mail server, for every test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from shared.db import Database
from shared.settings import DatabaseSettings
from tests.conftest import FreshDatabase
from tests.service.cadence.delivery.office import Office
from tests.support.smtp import MailServer, mail_server


@pytest.fixture
async def office(fresh_database: FreshDatabase) -> AsyncIterator[Office]:
    """Empty tables of cadence."""
    database = Database(fresh_database("cadence"), schema="cadence", settings=DatabaseSettings())
    yield Office(database)
    await database.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server that takes everything until it is told otherwise."""
    with mail_server() as server:
        yield server
