"""Every service's database and role: nobody but the service itself can connect to it."""

import asyncpg

from deploy.local.waiting import ask

CLOSED_TO_ALL = ("postgres", "template1")


def close_to_others(administrator_url: str) -> None:
    """Let no service connect to the databases that every server has."""
    ask(_execute(administrator_url, *[_closing("CONNECT", name) for name in CLOSED_TO_ALL]))


def create_role(administrator_url: str, role: str, password: str) -> None:
    """Create `role` where it is missing, and give it `password` in any case."""
    ask(_create_role(administrator_url, role, password))


def create_database(administrator_url: str, database: str, *, owner: str) -> None:
    """Create `database` where it is missing, closed to everybody but its owner."""
    ask(_create_database(administrator_url, database, owner))


def copy_database(administrator_url: str, *, source: str, target: str, owner: str) -> None:
    """Make `target` of `source`, to which nobody may be connected; closed like any other."""
    copying = f"CREATE DATABASE {target} TEMPLATE {source} OWNER {owner}"
    ask(_execute(administrator_url, copying, _closing("CONNECT, TEMPORARY", target)))


def drop_database(administrator_url: str, database: str) -> None:
    """Drop a database, ending the sessions in it."""
    ask(_execute(administrator_url, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"))


async def _create_role(administrator_url: str, role: str, password: str) -> None:
    connection = await asyncpg.connect(administrator_url, timeout=10)
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
        verb = "ALTER" if known else "CREATE"
        # Generated passwords are letters, digits, - and _ only, so that quoting is no question.
        await connection.execute(f"{verb} ROLE {role} LOGIN PASSWORD '{password}'")
    finally:
        await connection.close(timeout=5)


async def _create_database(administrator_url: str, database: str, owner: str) -> None:
    connection = await asyncpg.connect(administrator_url, timeout=10)
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database)
        if not known:
            await connection.execute(f"CREATE DATABASE {database} OWNER {owner}")
        await connection.execute(_closing("CONNECT, TEMPORARY", database))
    finally:
        await connection.close(timeout=5)


async def _execute(administrator_url: str, *statements: str) -> None:
    # One call each: CREATE DATABASE may not stand in a transaction, not even an implied one.
    connection = await asyncpg.connect(administrator_url, timeout=10)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close(timeout=5)


def _closing(rights: str, database: str) -> str:
    return f"REVOKE {rights} ON DATABASE {database} FROM PUBLIC"
