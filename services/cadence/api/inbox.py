"""Routes of the in-app channel: what a person's inbox holds, and what of it was read."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from services.cadence.store import inbox, messages
from shared.auth import Managing, Reading
from shared.http import Cursor, Limit, NotFound, Page, Transaction, decode_place, encode_place

router = APIRouter()

User = Annotated[str, Path(description="The person's id.", max_length=200)]


class InboxItem(BaseModel):
    """A message as the product shows it."""

    message: str = Field(description="Identity of the occurrence.")
    at: datetime = Field(description="When it was laid there.")
    title: str = Field(description="Its subject.")
    html: str = Field(description="The page.")
    text: str = Field(description="The plain text.")
    read_at: datetime | None = Field(description="Null: not read yet.")


class Read(BaseModel):
    """That a message was read."""

    message: str = Field(description="Identity of the occurrence.")
    read_at: datetime = Field(description="The first time.")


@router.get("/users/{user:path}/inbox", summary="What a person's inbox holds")
async def list_inbox(
    caller: Reading, tx: Transaction, user: User, limit: Limit = 50, cursor: Cursor = None
) -> Page[InboxItem]:
    """The newest first."""
    before = inbox.BEGINNING if cursor is None else decode_place(cursor, int)
    found = await inbox.list_items(tx, caller.workspace, user, before=before, limit=limit + 1)
    page = found[:limit]
    return Page(
        items=[
            InboxItem(
                message=row.identity,
                at=row.at,
                title=row.title,
                html=row.body_html,
                text=row.body_text,
                read_at=row.read_at,
            )
            for row in page
        ],
        next_cursor=encode_place(page[-1].number) if len(found) > limit else None,
    )


@router.post("/inbox/{identity:path}/read", summary="Note that a message was read in the product")
async def post_read(
    caller: Managing,
    tx: Transaction,
    identity: Annotated[str, Path(description="Identity of the occurrence.", max_length=1000)],
) -> Read:
    """Said again it stays the first time. Raises NotFound."""
    now = await messages.get_now(tx)
    read_at = await inbox.note_read(tx, caller.workspace, identity, now=now)
    if read_at is None:
        raise NotFound(f"there is no message {identity!r} in an inbox")
    return Read(message=identity, read_at=read_at)
