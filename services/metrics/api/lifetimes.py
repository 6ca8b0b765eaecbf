"""Route of the customers' lifetime values, one by one, beside the LTV of the base (N11)."""

from collections.abc import AsyncIterator, Sequence
from fractions import Fraction
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT, amount
from services.metrics.api.csv_lists import csv_response, flat
from services.metrics.api.parameters import (
    Accounts,
    KnownAt,
    ListFormat,
    MonthText,
    Snapshot,
    known_at_of,
)
from services.metrics.model.calendar import Month
from services.metrics.model.lifetime import Lifetime, lifetime_of
from services.metrics.model.money import shown
from services.metrics.store import reports
from services.metrics.store.reports import Group, View
from services.metrics.store.snapshot import take_snapshot
from shared.auth import Reading
from shared.db import Database, Tx
from shared.errors import DomainError
from shared.http import Cursor, Limit, Page, decode_cursor, encode_cursor

router = APIRouter()


class MarginUnknown(DomainError):
    """Without a gross margin no lifetime value can be told."""

    code = "margin_unknown"


class LifetimeBody(BaseModel):
    """What one customer is worth over its life, by the end of the month that was asked for."""

    account: str = Field(description="The account.")
    months: int = Field(description="Months since its first paid MRR, that one included.")
    realised: str = Field(description=f"Each month's closing MRR x gross margin. {AMOUNT}")
    expected: str | None = Field(
        description="Closing MRR x margin / the base's logo churn of the month; 0 for who left,"
        " null where nobody left."
    )
    clv: str | None = Field(description="realised + expected: this customer's part of the LTV.")
    base_ltv: str | None = Field(
        description="ARPA x margin / logo churn of the month (P25): of the average customer."
    )

    @classmethod
    def of(cls, account: str, value: Lifetime, ltv: Fraction | None) -> "LifetimeBody":
        """The value, shown."""
        return cls(
            account=account,
            months=value.months,
            realised=shown(value.realised),
            expected=amount(value.expected),
            clv=amount(value.clv),
            base_ltv=amount(ltv),
        )


class LifetimesQuery(BaseModel):
    """By the end of which month, as known when, and how."""

    month: MonthText
    known_at: KnownAt = None
    format: ListFormat = Field(default=ListFormat.JSON, description="CSV is whole, not paged.")
    limit: Limit = 50
    cursor: Cursor = None


class _Base(NamedTuple):
    """Whose values are told, and what the base says of them."""

    view: View
    group: Group
    month: Month
    margin: Fraction
    churn: Fraction | None
    ltv: Fraction | None


@router.get(
    "/revenue/clv",
    summary="What each customer is worth over its life",
    response_model=None,
    responses={200: {"model": Page[LifetimeBody]}},
)
async def list_lifetimes(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    group: Accounts,
    query: Annotated[LifetimesQuery, Query()],
) -> Page[LifetimeBody] | StreamingResponse:
    """By account: those that had paid by the end of the month, who left since too."""
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(query.known_at))
    base = await _base(tx, view, group, Month.of(query.month))
    if query.format is ListFormat.CSV:
        chunks = _chunks(request.app.state.database, base)
        return csv_response(tuple(LifetimeBody.model_fields), chunks)
    after = "" if query.cursor is None else decode_cursor(query.cursor)
    items: list[LifetimeBody] = []
    async for body in _bodies(tx, base, after):
        items.append(body)
        if len(items) > query.limit:
            break
    more = len(items) > query.limit
    return Page(
        items=items[: query.limit],
        next_cursor=encode_cursor(items[query.limit - 1].account) if more else None,
    )


async def _base(tx: Tx, view: View, group: Group, month: Month) -> _Base:
    if view.margin is None:
        raise MarginUnknown("the workspace has no gross_margin: POST /v1/settings sets it")
    report = (await reports.get_months(tx, view, month, month, group)).reports[month]
    return _Base(view, group, month, view.margin, report.logo_churn, report.ltv)


async def _bodies(tx: Tx, base: _Base, after: str) -> AsyncIterator[LifetimeBody]:
    view = base.view
    async for account, timeline in reports.walk(tx, view, base.group, after=after):
        value = lifetime_of(timeline, base.margin, base.churn, view.rates, view.zone, base.month)
        if value is not None:
            yield LifetimeBody.of(account, value, base.ltv)


async def _chunks(database: Database, base: _Base) -> AsyncIterator[list[Sequence[object]]]:
    async with database.transaction() as tx:
        await take_snapshot(tx)
        async for body in _bodies(tx, base, ""):
            yield [tuple(flat(body).values())]
