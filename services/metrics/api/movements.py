"""Route of the movements: every jump of every account, with the facts behind it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.metrics.api.bodies import MovementBody
from services.metrics.api.csv_lists import csv_response
from services.metrics.api.parameters import (
    Accounts,
    KnownAt,
    ListFormat,
    Months,
    Named,
    Snapshot,
    Span,
    known_at_of,
)
from services.metrics.model.calendar import starts_at
from services.metrics.model.movements import Movement, movements_of
from services.metrics.model.timeline import Timeline
from services.metrics.store import reports, steps
from services.metrics.store.reports import Group, View
from services.metrics.store.snapshot import take_snapshot
from shared.auth import Reading
from shared.db import Database, Tx
from shared.http import (
    Cursor,
    Limit,
    Page,
    decode_place,
    encode_place,
)

router = APIRouter()

COLUMNS = ("id", "account", "at", "type", "amount", "mrr", "reason", "facts", "policy_version")


class Asked(NamedTuple):
    """Whose movements of which months, and as they were known when."""

    view: View
    span: Span
    group: Group
    account: str | None


class PageEnd(msgspec.Struct, frozen=True):
    """Where a page ended: how many movements of which account it has shown."""

    account: str
    shown: int


class MovementsQuery(BaseModel):
    """Which movements to list, and how."""

    account: Named = Field(default=None, description="Only this account's.")
    known_at: KnownAt = None
    format: ListFormat = Field(default=ListFormat.JSON, description="CSV is whole, not paged.")
    limit: Limit = 50
    cursor: Cursor = None


@router.get(
    "/revenue/movements",
    summary="The movements with their facts",
    response_model=None,
    responses={200: {"model": Page[MovementBody]}},
)
async def list_movements(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    span: Months,
    group: Accounts,
    query: Annotated[MovementsQuery, Query()],
) -> Page[MovementBody] | StreamingResponse:
    """By account, and then by time; `fx` ones too, one per account and month."""
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(query.known_at))
    asked = Asked(view, span, group, query.account)
    if query.format is ListFormat.CSV:
        return csv_response(COLUMNS, _chunks(request.app.state.database, asked))
    end = PageEnd("", 0) if query.cursor is None else decode_place(query.cursor, PageEnd)
    items: list[MovementBody] = []
    places: list[PageEnd] = []
    async for name, timeline in _accounts(tx, asked, end):
        skipped = end.shown if name == end.account else 0
        for number, movement in enumerate(_within(timeline, asked)):
            if number >= skipped:
                items.append(MovementBody.of(name, movement))
                places.append(PageEnd(name, number + 1))
        if len(items) > query.limit:
            break
    more = len(items) > query.limit
    return Page(
        items=items[: query.limit],
        next_cursor=encode_place(places[query.limit - 1]) if more else None,
    )


async def _accounts(tx: Tx, asked: Asked, end: PageEnd) -> AsyncIterator[tuple[str, Timeline]]:
    """The accounts from the one on that the page before ended with."""
    view, account = asked.view, asked.account
    if account is not None:
        timelines = await steps.list_timelines(
            tx, view.workspace, [account], known_at=view.known_at
        )
        yield account, timelines[account]
        return
    if end.account:
        found = await steps.list_timelines(
            tx, view.workspace, [end.account], known_at=view.known_at
        )
        yield end.account, found[end.account]
    async for listed in reports.walk(tx, view, asked.group, after=end.account):
        yield listed


def _within(timeline: Timeline, asked: Asked) -> Iterator[Movement]:
    view = asked.view
    begin = starts_at(asked.span.first, view.zone)
    for movement in movements_of(timeline, view.rates, view.zone, asked.span.last):
        if movement.at >= begin:
            yield movement


async def _chunks(database: Database, asked: Asked) -> AsyncIterator[list[Sequence[object]]]:
    async with database.transaction() as tx:
        await take_snapshot(tx)
        async for name, timeline in _accounts(tx, asked, PageEnd("", 0)):
            yield [_line(MovementBody.of(name, movement)) for movement in _within(timeline, asked)]


def _line(body: MovementBody) -> Sequence[object]:
    told = body.model_dump(mode="json")
    return tuple(" ".join(told[name]) if name == "facts" else told[name] for name in COLUMNS)
