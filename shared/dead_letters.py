"""The routes every consuming service has: what it gave up on, and applying it after all."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shared.auth import Managing, Reading
from shared.bus import tables
from shared.bus.handlers import Lane
from shared.bus.redrive import redrive
from shared.clock import format_instant, parse_instant
from shared.http import (
    Cursor,
    InvalidRequest,
    Limit,
    Page,
    Transaction,
    decode_cursor,
    encode_cursor,
)


class DeadLetterView(BaseModel):
    """A record that a lane gave up, with the reason."""

    id: str
    event_id: str | None = Field(description="Id of the event; null where it could not be read.")
    event_type: str | None
    lane: str = Field(description="The consumer loop that gave it up.")
    topic: str
    partition: int
    offset: int
    code: str = Field(description="Stable reason.", examples=["schema_violation"])
    message: str
    bytes: str | None = Field(description="The record as it stands in Kafka, base64.")
    dead_at: datetime
    redriven_at: datetime | None = Field(description="When it was applied after all.")
    redriven_by: str | None = Field(description="Key id of whoever redrove it.")


PREFIX = "/v1/dead-letters"
listing = APIRouter(prefix=PREFIX, tags=["dead letters"])


@listing.get("", summary="What this service gave up on, newest first")
async def list_dead_letters(
    caller: Reading, tx: Transaction, limit: Limit = 100, cursor: Cursor = None
) -> Page[DeadLetterView]:
    """The dead letters of the caller's workspace."""
    after = _place(cursor) if cursor else None
    found = await tables.list_dead_letters(tx, caller.workspace, after=after, limit=limit + 1)
    items = [_view(row) for row in found[:limit]]
    return Page(items=items, next_cursor=_cursor(items[-1]) if len(found) > limit else None)


def redriving(service: str, lanes: Sequence[Lane]) -> APIRouter:
    """The route that applies a dead letter of one service with the folds of its lanes."""
    router = APIRouter(prefix=PREFIX, tags=["dead letters"])

    @router.post("/{letter_id}/redrive", summary="Apply a dead letter with the code that runs now")
    async def redrive_dead_letter(
        letter_id: str, caller: Managing, tx: Transaction
    ) -> dict[str, str]:
        await redrive(tx, service, lanes, letter_id, workspace=caller.workspace, by=caller.key_id)
        return {"id": letter_id, "status": "applied"}

    return router


def _cursor(last: DeadLetterView) -> str:
    return encode_cursor(f"{format_instant(last.dead_at)} {last.id}")


def _place(cursor: str) -> tuple[datetime, str]:
    """Time and id of the last dead letter of the page before."""
    instant, _, letter_id = decode_cursor(cursor).partition(" ")
    try:
        return parse_instant(instant), str(UUID(letter_id))
    except ValueError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def _view(row: Any) -> DeadLetterView:
    return DeadLetterView(
        id=str(row.id),
        event_id=row.event_id,
        event_type=row.event_type,
        lane=row.lane,
        topic=row.topic,
        partition=row.part,
        offset=row.offset,
        code=row.code,
        message=row.message,
        bytes=None if row.value is None else b64encode(row.value).decode(),
        dead_at=row.dead_at,
        redriven_at=row.redriven_at,
        redriven_by=row.redriven_by,
    )
