"""A service as one value: all that makes one service different from another."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from shared import auth
from shared.bus.handlers import BatchFold, Lane
from shared.bus.jobs import Job
from shared.db import Database, Tx
from shared.events import ingest
from shared.http import Check
from shared.settings import ServiceSettings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Worker = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Runs until the event is set. It keeps its own transactions, leases and fences."""


class Role(StrEnum):
    """What a process does of a service; a hot role scales alone."""

    API = "api"
    CONSUMER = "consumer"
    RELAY = "relay"
    JOBS = "jobs"


# How keys and settings reach a service that does not issue them; a lane of its own, so that a new
# key works within 2 s however far behind the others are.
CONTROL_LANE = Lane(
    name="control",
    topics=(ingest.WORKSPACES, ingest.KEYS),
    folds=(
        BatchFold(on=(ingest.WorkspaceConfigured,), handle=auth.fold_workspaces),
        BatchFold(on=(ingest.KeyIssued, ingest.KeyRevoked), handle=auth.fold_keys),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Service:
    """All that makes one service different from another."""

    name: str
    description: str
    settings: ServiceSettings
    routers: Sequence[APIRouter]
    database: Database | None = None
    migrations: Path | None = None
    lanes: Sequence[Lane] = ()
    owned_tables: Sequence[str] = ()
    """Truth that stands in no topic, referred to before referring: a rebuild copies them."""
    outliving_tables: Sequence[str] = ()
    """Kept longer than the topics they are folded from: a rebuild adds what only they still know.
    """
    audit: Callable[[Tx], Awaitable[None]] | None = None
    """What a rebuild asks of the new tables before it swaps them in: raises MainstayError where
    something does not hold that always has to."""
    jobs: Sequence[Job] = ()
    workers: Sequence[Worker] = ()
    """Effects on the outside world, run beside the jobs: each until it is asked to stop."""
    shows_dead_letters: bool = True
    """False: the service's own routes show them, with more beside."""
    needs_kafka: bool = True
    """False: it serves its callers while Kafka is away. /ready tells of that, and stays green."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    """What the routes find at `request.app.state`, beside database, keys, clock and settings."""
    prepare: Callable[[], None] | None = None
    """Called before a process opens its HTTP door: takes what one process alone may hold. Raises
    SystemExit with one clear line where it cannot."""
    lifespan: Lifespan | None = None
    """Opened before the first request, closed after the last: what requests themselves need."""
    front: Callable[[ASGIApp], ASGIApp] | None = None
    """Stands before FastAPI: the one hot route that cannot pay for a framework."""
