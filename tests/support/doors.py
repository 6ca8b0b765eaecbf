"""A service's own HTTP door over its tables, without a network, and a key of each scope."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx

from shared.auth import hashed, save_key
from shared.events.ingest import KeyIssued
from shared.service import Service, app_of

SCOPES = ("read", "write", "manage")


@asynccontextmanager
async def door_of(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """The door of `service`, which knows a key `secret <scope>` of each scope of workspace w1."""
    assert service.database is not None
    async with service.database.transaction() as tx:
        for scope in SCOPES:
            issued = KeyIssued(
                key_id=scope,
                prefix="k",
                sha256=hashed(f"secret {scope}"),
                scopes=[scope],
                source="x",
            )
            await save_key(tx, "w1", issued, issued_at=datetime(2025, 1, 1, tzinfo=UTC))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app_of(service)), base_url=f"http://{service.name}"
    ) as client:
        yield client
    await service.database.close()


def as_(scope: str) -> dict[str, str]:
    """The header of who has the key of a scope."""
    return {"authorization": f"Bearer secret {scope}"}
