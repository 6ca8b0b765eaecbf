"""Route of the facts that are refused: their subscription was another account's before."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.metrics.api.csv_lists import csv_response
from services.metrics.api.parameters import KnownAt, ListFormat, Snapshot, known_at_of
from services.metrics.model.knowledge import Refused
from services.metrics.store.refused import BEGINNING, Place, list_refused
from shared.auth import Reading
from shared.db import Database
from shared.http import Cursor, Limit, Page, decode_place, encode_place

router = APIRouter()

CHUNK = 500
COLUMNS = ("source", "id", "account", "subscription", "owner", "code", "message")
SUBSCRIPTION_MOVED = "subscription_moved"


class RefusedFactBody(BaseModel):
    """A fact that counts nowhere, and why; once the claim that stands is void, the next counts."""

    source: str = Field(description="Source of the fact.")
    id: str = Field(description="Its id.")
    account: str = Field(description="The account or customer that it names.")
    subscription: str = Field(description="The subscription that it names.")
    owner: str = Field(description="The account that was said first to have the subscription.")
    code: str = Field(description="`subscription_moved`.")
    message: str = Field(description="The same in words.")

    @classmethod
    def of(cls, refused: Refused) -> "RefusedFactBody":
        """The fact, shown."""
        return cls(
            source=refused.name.source,
            id=refused.name.id,
            account=refused.sent_for,
            subscription=refused.subscription,
            owner=refused.owner,
            code=SUBSCRIPTION_MOVED,
            message=f"subscription {refused.subscription!r} is of account {refused.owner!r},"
            f" fact {refused.name.id!r} says {refused.sent_for!r}",
        )


class RefusedQuery(BaseModel):
    """Which refused facts to list, and how."""

    known_at: KnownAt = None
    format: ListFormat = Field(default=ListFormat.JSON, description="CSV is whole, not paged.")
    limit: Limit = 50
    cursor: Cursor = None


@router.get(
    "/revenue/refused",
    summary="Facts that count nowhere, with the reason",
    response_model=None,
    responses={200: {"model": Page[RefusedFactBody]}},
)
async def get_refused(
    request: Request, caller: Reading, tx: Snapshot, query: Annotated[RefusedQuery, Query()]
) -> Page[RefusedFactBody] | StreamingResponse:
    """By account and fact: states of subscriptions that another account was said first to have."""
    known_at = known_at_of(query.known_at)
    if query.format is ListFormat.CSV:
        database: Database = request.app.state.database

        async def chunks() -> AsyncIterator[list[Sequence[object]]]:
            after, whole = BEGINNING, True
            while whole:
                async with database.transaction() as reading:
                    found = await list_refused(
                        reading, caller.workspace, known_at=known_at, after=after, limit=CHUNK
                    )
                yield [tuple(RefusedFactBody.of(one).model_dump().values()) for one in found]
                whole = len(found) == CHUNK
                after = Place.of(found[-1]) if found else after

        return csv_response(COLUMNS, chunks())
    after = BEGINNING if query.cursor is None else decode_place(query.cursor, Place)
    found = await list_refused(
        tx, caller.workspace, known_at=known_at, after=after, limit=query.limit + 1
    )
    more = len(found) > query.limit
    return Page(
        items=[RefusedFactBody.of(one) for one in found[: query.limit]],
        next_cursor=encode_place(Place.of(found[query.limit - 1])) if more else None,
    )
