"""What a row does to PostgreSQL: transactions held open, backends found and killed, restarts."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg

from deploy.local.waiting import wait_until
from tests.faults.world import World

END_SECONDS = 30.0


class Session:
    """A superuser's connection, used from plain code: what it begins stays open between calls."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(url, timeout=10))

    def execute(self, sql: str) -> None:
        """Run statements that answer nothing."""
        self._loop.run_until_complete(self._connection.execute(sql))

    def value(self, sql: str, *arguments: object) -> Any:
        """The first column of the first row; None without a row."""
        return self._loop.run_until_complete(self._connection.fetchval(sql, *arguments))

    def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """All rows."""
        found = self._loop.run_until_complete(self._connection.fetch(sql, *arguments))
        return [tuple(row) for row in found]

    def close(self) -> None:
        """End the session; what it began is rolled back."""
        self._connection.terminate()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def session_of(world: World, service: str) -> Session:
    """A session in the database of a service."""
    database = urlsplit(world.sources.databases[service]).path.removeprefix("/")
    return Session(world.postgres.administrator_url(database))


@contextmanager
def altered(world: World, setting: str, value: str) -> Iterator[None]:
    """A setting of the whole server for the block; taken back also where the server died."""
    with session_of(world, "metrics") as session:
        session.execute(f"ALTER SYSTEM SET {setting} = {value}")
        session.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        world.postgres.start()
        with session_of(world, "metrics") as session:
            session.execute(f"ALTER SYSTEM RESET {setting}")
            session.execute("SELECT pg_reload_conf()")


def restart_immediately(world: World) -> bool:
    """Immediate shutdown, which aborts every transaction where it stands, then a start with
    recovery. Whether it was another server afterwards.
    """
    before = world.postgres.process()
    assert before is not None, "PostgreSQL does not run"
    os.kill(before.pid, signal.SIGQUIT)
    assert wait_until(lambda: not before.is_running(), timeout_seconds=END_SECONDS)
    world.postgres.start()
    after = world.postgres.process()
    return after is not None and after.pid != before.pid


def kill_backend(world: World, pid: int) -> None:
    """SIGKILL to one backend: the server ends all others, recovers and goes on.

    Returns when it answers again.
    """
    server = world.postgres.process()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            with session_of(world, "metrics"):
                assert world.postgres.process() == server, "the server itself has ended"
                return
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            time.sleep(0.05)
    raise AssertionError("PostgreSQL does not answer after a killed backend")


def await_backend(session: Session, condition: str, timeout_seconds: float = 30) -> int:
    """The pid of a backend of the toy for which an SQL condition over pg_stat_activity holds."""
    sql = f"SELECT pid FROM pg_stat_activity WHERE application_name = 'metrics' AND {condition}"
    found: list[int] = []

    def look() -> bool:
        found.extend(pid for (pid,) in session.rows(sql))
        return bool(found)

    assert wait_until(look, timeout_seconds=timeout_seconds), f"no backend with {condition}"
    return found[0]
