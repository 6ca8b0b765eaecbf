"""`rebuild` as an operator runs it, beside a running service."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from deploy.local.layout import ROOT
from deploy.local.services import named
from tests.support.processes import ServiceProcess

SECONDS = 180.0


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    status: int
    said: str
    complained: str


def begin_rebuild(service: ServiceProcess, *arguments: str) -> subprocess.Popen[str]:
    """Start the command; its caller awaits or kills it."""
    return subprocess.Popen(
        [sys.executable, "-m", f"services.{service.name}", "rebuild", *arguments],
        env={**os.environ, **service.environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_rebuild(running: subprocess.Popen[str]) -> Ended:
    """Wait for its end."""
    try:
        said, complained = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        said, complained = running.communicate()
    return Ended(running.returncode, said, complained)


def rebuild(service: ServiceProcess, *arguments: str) -> Ended:
    """Run the command to its end."""
    return end_rebuild(begin_rebuild(service, *arguments))


def database_url(service: ServiceProcess) -> str:
    """The address of the service's database."""
    return service.environment[named(service.name).database_variable]


def ask_database(service: ServiceProcess, sql: str, *values: Any) -> Sequence[Any]:
    """The rows that `sql` answers in the service's database, in its own schema."""

    async def ask() -> Sequence[Any]:
        connection = await asyncpg.connect(
            database_url(service), server_settings={"search_path": service.name}
        )
        try:
            rows: Sequence[Any] = await connection.fetch(sql, *values)
            return rows
        finally:
            await connection.close()

    return asyncio.run(ask())
