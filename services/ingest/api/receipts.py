"""What became of an event, and the events that were refused or given up."""

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from services.ingest.store import receipts as store
from services.ingest.store.receipts import DeadLetterItem, Place
from shared.auth import Caller, Keys, MissingKey, Reading, Scope, ScopeMissing, key_of
from shared.bus.tables import LetterState
from shared.bus.verdicts import DeadLetterUnknown
from shared.clock import format_instant, parse_instant
from shared.dead_letters import UNKNOWN, Filtered
from shared.events.runtime import SERVICES
from shared.http import (
    Cursor,
    InvalidRequest,
    Limit,
    NotFound,
    Page,
    Transaction,
    decode_cursor,
    encode_cursor,
)

PREVIEW_BYTES = 500
WHOLE_BYTES = 32 * 1024

router = APIRouter(prefix="/v1", tags=["receipts"])


class Processed(BaseModel):
    """A service has committed the event's effect, or its decision that there is none."""

    at: datetime = Field(description="When it was first behind the event.")


class Receipt(BaseModel):
    """What became of one event. Kept 30 days."""

    message_id: str = Field(description="The id it came with, or that we gave it.")
    status: Literal["accepted", "duplicate", "rejected", "spilled"] = Field(
        description="A repeat never turns accepted into anything worse; spilled becomes accepted."
    )
    topic: str = Field(description="Kafka topic.")
    partition: int = Field(description="Partition of the topic.")
    offset: int | None = Field(
        description="Place in the partition; null while it waits in the spill."
    )
    reason: str | None = Field(default=None, description="Stable code, where it was rejected.")
    processed_by: dict[str, Processed] = Field(
        description="The services that read the topic and have passed the event."
    )


class DeadLetter(BaseModel):
    """An event that was refused at the edge, or a record that ingest itself gave up."""

    id: str = Field(description="Its id.")
    kind: Literal["rejected", "dead_letter"] = Field(description="Refused, or given up.")
    state: LetterState = Field(description="Whether it was decided about, and how.")
    message_id: str | None = Field(description="The event's id, where known.")
    lane: str | None = Field(description="The consumer loop that gave it up; null if refused.")
    event_type: str | None = Field(
        description="Type of the event, where it came so far.", examples=["usage.tracked.v1"]
    )
    code: str = Field(description="Stable reason.", examples=["missing_event"])
    message: str = Field(description="What is wrong, for people.")
    at: datetime = Field(description="When it was refused or given up.")
    preview: str = Field(description="The first 500 bytes as they came.")
    bytes: str | None = Field(
        description="All of it as it came, base64. In a list null above 32 KiB."
    )
    redrivable: bool = Field(
        description="Whether it can be redriven here: given up, and not decided about."
        " A refused event is mended and sent again."
    )


async def _sending_or_reading(request: Request) -> Caller:
    """A key that may read, or the write key that may have sent the event."""
    key = key_of(request.headers.get("authorization"))
    if key is None:
        raise MissingKey("send `Authorization: Bearer <key>`")
    keys: Keys = request.app.state.keys
    caller = await keys.caller(key, request.app.state.clock())
    if not (caller.may(Scope.READ) or caller.may(Scope.WRITE)):
        raise ScopeMissing(f"this needs scope read or write, not {sorted(caller.scopes)}")
    return caller


SendingOrReading = Annotated[Caller, Depends(_sending_or_reading)]


@router.get("/receipts/{message_id:path}", summary="What became of an event")
async def get_receipt(
    caller: SendingOrReading,
    message_id: Annotated[str, Path(max_length=200, description="URL-encoded.")],
    tx: Transaction,
) -> Receipt:
    """404 until it is known, at most 2 s after the reply that named the id."""
    found = await store.get_receipt(tx, caller.workspace, message_id)
    if found is None:
        raise NotFound(f"nothing is known of message {message_id!r}")
    processed = await store.list_processed(tx, found, SERVICES)
    return Receipt(
        message_id=message_id,
        status=found.status,
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        reason=found.reason,
        processed_by={service: Processed(at=at) for service, at in processed.items()},
    )


@router.get("/dead-letters", summary="Events that were refused or given up, the newest first")
async def list_dead_letters(
    caller: Reading,
    tx: Transaction,
    filters: Filtered,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DeadLetter]:
    """The caller's workspace only. A refused event has no lane and no type, and stays open."""
    found = await store.list_dead_letters(
        tx,
        caller.workspace,
        filters,
        after=_place(cursor) if cursor else None,
        limit=limit + 1,
    )
    page = found[:limit]
    more = len(found) > limit
    return Page(
        items=[_shown(item, most_bytes=WHOLE_BYTES) for item in page],
        next_cursor=_cursor(page[-1]) if more else None,
    )


# The form in the path keeps /dead-letters/audit and the like out of it.
@router.get(
    "/dead-letters/{letter_id:uuid}",
    summary="One event that was refused or given up, whole",
    responses=UNKNOWN,
)
async def get_dead_letter(
    caller: Reading,
    letter_id: Annotated[UUID, Path(description="Its id.")],
    tx: Transaction,
) -> DeadLetter:
    """Another workspace's looks as if there were none."""
    found = await store.get_dead_letter(tx, caller.workspace, letter_id)
    if found is None:
        raise DeadLetterUnknown(f"no dead letter {str(letter_id)!r}")
    return _shown(found, most_bytes=len(found.source))


def _cursor(last: DeadLetterItem) -> str:
    return encode_cursor(f"{format_instant(last.at)} {last.id}")


def _place(cursor: str) -> Place:
    at, _, id_ = decode_cursor(cursor).partition(" ")
    try:
        return Place(parse_instant(at), str(UUID(id_)))
    except ValueError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def _shown(item: DeadLetterItem, *, most_bytes: int) -> DeadLetter:
    return DeadLetter(
        id=item.id,
        kind=item.kind,
        state=item.state,
        message_id=item.message_id,
        lane=item.lane,
        event_type=item.event_type,
        code=item.code,
        message=item.message,
        at=item.at,
        preview=item.source[:PREVIEW_BYTES].decode("utf-8", "replace"),
        bytes=b64encode(item.source).decode() if len(item.source) <= most_bytes else None,
        redrivable=item.kind == "dead_letter" and item.state is LetterState.OPEN,
    )
