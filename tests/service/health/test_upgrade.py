"""An installation of the first version keeps what it knows when its tables are brought up."""

from datetime import date
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from alembic import command

from deploy.local.postgres import databases
from shared.bus import tables
from shared.bus.seen import SeenIds, inbox_id
from shared.db import Database
from shared.migrate import migrate
from shared.settings import DatabaseSettings
from tests.bus.test_inbox import received
from tests.support.stack import TemporaryStack

MIGRATIONS = Path(__file__).parents[3] / "services" / "health" / "migrations"
FIRST = "2026_11_22_first_tables"
TODAY = date(2026, 1, 5)


async def test_ids_events_and_accounts_of_the_first_version_are_still_known(
    stack: TemporaryStack, monkeypatch: pytest.MonkeyPatch
):
    address = stack.addresses["health"]
    databases.create_database(address.administrator_url, "health_upgraded", owner=address.role)
    url = address.url("health_upgraded")
    upgrade = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _: upgrade(config, FIRST))
        await migrate(url, schema="health", directory=MIGRATIONS)
    await fill(url)

    await migrate(url, schema="health", directory=MIGRATIONS)

    database = Database(url, schema="health", settings=DatabaseSettings(pool_size=2))
    claim = partial(tables.claim_ids, keep=False, seen=SeenIds(most_bytes=1_000_000))
    async with database.transaction() as tx:
        await tables.ensure_inbox_days(tx, {TODAY})
        fresh = await claim(tx, [received("live"), received("new")])
        history = await tables.claim_ids(
            tx, [received("kept")], keep=True, seen=SeenIds(most_bytes=1_000_000)
        )
        waiting = await tables.list_outbox(tx, 10)
    await database.close()
    connection = await asyncpg.connect(url, server_settings={"search_path": "health"})
    days = await connection.fetch(
        "SELECT a.account, d.events FROM account a JOIN account_day d"
        " ON d.workspace = a.workspace AND d.account = a.number ORDER BY a.account"
    )
    await connection.close()
    databases.drop_database(address.administrator_url, "health_upgraded")
    assert [each.envelope.id for each in fresh] == ["new"]
    assert history == []
    assert [row.key for row in waiting] == ["w/a"]
    assert [tuple(row) for row in days] == [("acme", 3), ("globex", 5)]


async def fill(url: str) -> None:
    """What a first version may hold: ids, an event that waits, accounts with use."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "health"})
    await connection.execute(
        "CREATE TABLE inbox_20260105 PARTITION OF inbox"
        " FOR VALUES FROM ('2026-01-05') TO ('2026-01-06')"
    )
    await connection.execute("INSERT INTO inbox VALUES ($1, $2)", TODAY, inbox_id("w", "live"))
    await connection.execute("INSERT INTO inbox_kept VALUES ($1)", inbox_id("w", "kept"))
    await connection.execute(
        "INSERT INTO outbox (event_id, topic, key, payload) VALUES ('e', 't', 'w/a', '{}')"
    )
    for account, events in (("globex", 5), ("acme", 3)):
        number = await connection.fetchval(
            "INSERT INTO account (workspace, account) VALUES ('w', $1) RETURNING number", account
        )
        await connection.execute(
            "INSERT INTO account_day VALUES ('w', $1, $2, $3, now(), now(), 'e')",
            number,
            TODAY,
            events,
        )
    await connection.close()
