"""Route of the list of accounts: ranked by score, name or newest use, a page at a time."""

from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from heapq import nsmallest
from typing import Annotated, Self

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from services.health.api.bodies import AccountItem
from services.health.api.parameters import AsOf, instant_or_now
from services.health.api.scores import ACCOUNTS_AT_ONCE
from services.health.model.explain import scored
from services.health.model.score import (
    Band,
    Scale,
    band_of,
    last_event_before,
    scale_of,
    usage_health,
)
from services.health.store import usage, views
from services.health.store.views import Filters, Standing
from shared.auth import Reading
from shared.db import Tx
from shared.http import (
    Cursor,
    InvalidRequest,
    Limit,
    Page,
    Transaction,
    decode_place,
    encode_place,
)

router = APIRouter()

Text = Annotated[str | None, Query(max_length=256, pattern=r"^[^\x00]*$")]
Rank = tuple[bool, float | str, str]
"""Place in a list: unknown ones last, then by value, then by account id."""


class AccountSort(StrEnum):
    """The orders of the list. Accounts without a value come last in every one."""

    LOWEST_SCORE = "score"
    HIGHEST_SCORE = "-score"
    NAME = "name"
    OLDEST_EVENT = "last_event"
    NEWEST_EVENT = "-last_event"


class AccountQuery(BaseModel):
    """Which accounts to list, and how."""

    band: Band | None = Field(default=None, description="Only accounts of this band.")
    stage: Text = Field(default=None, description="Only accounts of this lifecycle stage.")
    segment: Text = Field(default=None, description="Only accounts of this segment.")
    owner: Text = Field(default=None, description="Only accounts of this owner (staff e-mail).")
    text: Text = Field(default=None, description="Part of the id or the name, in any case.")
    sort: AccountSort = Field(
        default=AccountSort.LOWEST_SCORE, description="Accounts without a value come last."
    )
    as_of: AsOf = None
    limit: Limit = 50
    cursor: Cursor = None

    @property
    def filters(self) -> Filters:
        """What the store can tell without a score."""
        return Filters(self.stage, self.segment, self.owner, self.text)


class PageEnd(msgspec.Struct, frozen=True):
    """Where a page ended. It carries its instant, so that all pages show the same scores."""

    as_of: Annotated[datetime, msgspec.Meta(tz=True)]
    sort: AccountSort
    rank: Rank

    @classmethod
    def of(cls, cursor: str, sort: AccountSort) -> Self:
        """The end that a cursor stands for. Raises InvalidRequest where it fits no such list."""
        end = decode_place(cursor, cls)
        if end.sort is not sort or isinstance(end.rank[1], str) is not (sort is AccountSort.NAME):
            raise InvalidRequest(f"cursor {cursor!r} is not of a list by {sort}")
        return end

    @property
    def cursor(self) -> str:
        """The cursor that stands for this end."""
        return encode_place(self)


@router.get("/accounts", summary="Accounts, the lowest score first")
async def list_accounts(
    request: Request, caller: Reading, tx: Transaction, query: Annotated[AccountQuery, Query()]
) -> Page[AccountItem]:
    """Accounts with their score, band and first reason; walk-through accounts are left out."""
    end = None if query.cursor is None else PageEnd.of(query.cursor, query.sort)
    at = instant_or_now("as_of", query.as_of, request) if end is None else end.as_of
    silence_days = (await usage.get_silence_days(tx, {caller.workspace}))[caller.workspace]
    scale = scale_of(silence_days)
    ranked: list[tuple[Rank, Standing]] = []
    async for standings in _chunks(tx, caller.workspace, at, silence_days, query.filters):
        for standing in standings:
            health = None if standing.habit is None else usage_health(standing.habit, at, scale)
            rank = _rank(standing, health, at, query.sort)
            if query.band in (None, band_of(health)) and (end is None or rank > end.rank):
                ranked.append((rank, standing))
        # One more than the page holds shows whether there is another.
        ranked = nsmallest(query.limit + 1, ranked, key=lambda entry: entry[0])
    page = ranked[: query.limit]
    more = len(ranked) > query.limit
    return Page(
        items=[_item(standing, at, scale) for _, standing in page],
        next_cursor=PageEnd(at, query.sort, page[-1][0]).cursor if more else None,
    )


async def _chunks(
    tx: Tx, workspace: str, at: datetime, silence_days: int, filters: Filters
) -> AsyncIterator[list[Standing]]:
    """All accounts that pass the filters, chunk by chunk."""
    after = ""
    while True:
        standings = await views.list_standings(
            tx,
            workspace,
            at=at,
            silence_days=silence_days,
            after=after,
            filters=filters,
            limit=ACCOUNTS_AT_ONCE,
        )
        yield standings
        if len(standings) < ACCOUNTS_AT_ONCE:
            return
        after = standings[-1].account


def _rank(standing: Standing, health: float | None, at: datetime, sort: AccountSort) -> Rank:
    match sort:
        case AccountSort.NAME:
            return standing.name is None, (standing.name or "").casefold(), standing.account
        case AccountSort.LOWEST_SCORE | AccountSort.HIGHEST_SCORE:
            value = health
        case AccountSort.OLDEST_EVENT | AccountSort.NEWEST_EVENT:
            habit = standing.habit
            value = None if habit is None else last_event_before(habit, at).timestamp()
    if value is None:
        return True, 0.0, standing.account
    return False, -value if sort.startswith("-") else value, standing.account


def _item(standing: Standing, at: datetime, scale: Scale) -> AccountItem:
    score = scored(standing.habit, at, scale)
    return AccountItem(
        account=standing.account,
        name=standing.name,
        plan=standing.plan,
        stage=standing.stage,
        segment=standing.segment,
        owner=standing.owner,
        score=score.score,
        usage_health=score.usage_health,
        band=score.band,
        reason=score.reason,
        last_event_at=score.freshness.last_event_at,
    )
