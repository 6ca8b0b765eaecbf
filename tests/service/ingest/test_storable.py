"""What the edge accepts goes into PostgreSQL as it is: no consumer stumbles over it."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from shared.db import Database
from shared.settings import DatabaseSettings
from tests.service.ingest.conftest import track
from tests.support.processes import ServiceProcess
from tests.unit.ingest.builders import taken

VALUES: tuple[Any, ...] = (
    "\\u0000",
    "😀 é \u2028",
    "\\ud800",
    "[{" * 1000,
    2**63 - 1,
    -(2**63),
    1e308,
    5e-324,
    -0.0,
    [[[[[[[[[[[[1]]]]]]]]]]]],
    {"": None},
)


@pytest.mark.parametrize("value", VALUES, ids=[repr(value)[:20] for value in VALUES])
@pytest.mark.parametrize("ascii_only", [True, False])
async def test_accepted_event_is_stored_as_jsonb_and_comes_back_the_same(
    ingest: ServiceProcess, value: Any, *, ascii_only: bool
):
    event = track("m", properties={"value": value})
    source = json.dumps(event, ensure_ascii=ascii_only).encode()
    ((_, stamped),) = taken(source).stamped
    database = Database(
        ingest.environment["DATABASE_URL_INGEST"], schema="ingest", settings=DatabaseSettings()
    )

    async with database.transaction() as tx:
        found = await tx.execute(
            text("SELECT CAST(:event AS jsonb) #> '{data,properties,value}' AS value"),
            {"event": stamped.payload.decode()},
        )
        (row,) = found.all()
    await database.close()

    # PostgreSQL writes 1e308 out in digits: the same number, read back as a whole one.
    assert row.value == value or float(row.value) == value
