"""Routes of what is agreed: contracts with their windows, concessions with what they did, leads."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT, amount
from services.metrics.api.csv_lists import csv_response, flat
from services.metrics.api.parameters import AsOf, ListFormat, Snapshot, as_of_or_now
from services.metrics.model.concessions import Outcome, outcomes_of
from services.metrics.model.contracts import (
    last_day,
    opt_out_until,
    opted_out,
    terms_of,
    within_opt_out,
)
from services.metrics.model.money import ratio
from services.metrics.model.timeline import Timeline
from services.metrics.store import contracts, reports, steps
from services.metrics.store import opportunities as leads
from services.metrics.store.contracts import Agreement, Granted, Place, Told
from services.metrics.store.opportunities import Lead, list_leads
from services.metrics.store.reports import View
from shared.auth import Reading
from shared.db import Database
from shared.http import (
    Cursor,
    Limit,
    Page,
    decode_place,
    encode_place,
)

router = APIRouter()

CONCESSION_COLUMNS = (
    "account",
    "kind",
    "value",
    "currency",
    "granted_at",
    "in_return",
    "by",
    "reason",
)
CHUNK = 500


class ContractBody(BaseModel):
    """A contract, and where it stands today in the workspace's zone."""

    account: str = Field(description="The account.")
    contract: str = Field(description="The contract's id.")
    starts_on: date = Field(description="First day.")
    term_ends_on: date | None = Field(description="Last day of the term that runs; null: open.")
    auto_renew: bool = Field(description="It renews with no event needed (C3).")
    opt_out_until: date = Field(description="The last day on which it may be left (C4).")
    in_opt_out: bool = Field(description="Whether it may be left today.")
    opted_out: bool = Field(description="Left within its window: a loss of its own, no churn.")
    cancelled_on: date | None = Field(description="As it was cancelled.")
    cancel_reason: str | None = Field(description="Why.")
    last_day: date | None = Field(description="Its last day; null while it renews or runs on.")
    value: str | None = Field(description="As agreed, minor units of `currency`.")
    currency: str | None = Field(description="ISO 4217.")
    seats: int | None = Field(description="As agreed.")

    @classmethod
    def of(cls, agreement: Agreement, today: date) -> "ContractBody":
        """The contract as it stands `today`."""
        contract = agreement.contract
        terms = [term for term in terms_of(contract, today) if term.starts_on <= today]
        return cls(
            account=contract.account,
            contract=contract.contract,
            starts_on=contract.starts_on,
            term_ends_on=terms[-1].ends_on if terms else None,
            auto_renew=contract.auto_renew,
            opt_out_until=opt_out_until(contract),
            in_opt_out=within_opt_out(contract, today),
            opted_out=opted_out(contract),
            cancelled_on=contract.cancelled_on,
            cancel_reason=agreement.cancel_reason,
            last_day=last_day(contract),
            value=None if agreement.value is None else format(agreement.value, "f"),
            currency=agreement.currency,
            seats=agreement.seats,
        )


@router.get(
    "/contracts",
    summary="Contracts, or those that do not renew by themselves",
    response_model=None,
    responses={200: {"model": Page[ContractBody]}},
)
async def list_contracts(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    auto_renew: Annotated[
        bool | None, Query(description="false: the exceptions, a list that should be empty (C3).")
    ] = None,
    as_of: AsOf = None,
    format: ListFormat = ListFormat.JSON,  # noqa: A002 - the name is the parameter's
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ContractBody] | StreamingResponse:
    """By account and contract, with windows and terms as of today, or of the day of `as_of`.

    CSV is whole.
    """
    view = await reports.get_view(tx, caller.workspace)
    today = as_of_or_now(as_of, request).astimezone(ZoneInfo(view.zone)).date()
    if format is ListFormat.CSV:
        chunks = _contracts(
            request.app.state.database, caller.workspace, auto_renew=auto_renew, today=today
        )
        return csv_response(tuple(ContractBody.model_fields), chunks)
    after = contracts.BEGINNING if cursor is None else decode_place(cursor, Place)
    items: list[ContractBody] = []
    while len(items) <= limit:
        page = await contracts.list_contracts(tx, caller.workspace, after=after, limit=CHUNK)
        items += [
            ContractBody.of(agreement, today)
            for agreement in page
            if auto_renew in (None, agreement.contract.auto_renew)
        ]
        if len(page) < CHUNK:
            break
        after = Place(page[-1].contract.account, page[-1].contract.contract)
    more = len(items) > limit
    last = items[limit - 1] if more else None
    return Page(
        items=items[:limit],
        next_cursor=None if last is None else encode_place(Place(last.account, last.contract)),
    )


async def _contracts(
    database: Database, workspace: str, *, auto_renew: bool | None, today: date
) -> AsyncIterator[list[Sequence[object]]]:
    after = contracts.BEGINNING
    while True:
        async with database.transaction() as tx:
            page = await contracts.list_contracts(tx, workspace, after=after, limit=CHUNK)
        yield [
            tuple(flat(ContractBody.of(agreement, today)).values())
            for agreement in page
            if auto_renew in (None, agreement.contract.auto_renew)
        ]
        if len(page) < CHUNK:
            return
        after = Place(page[-1].contract.account, page[-1].contract.contract)


class OutcomeBody(BaseModel):
    """What became of the account so many days after."""

    days: int = Field(description="90, 180 or 365.")
    fate: str = Field(description="pending, lost, shrunk, kept or grown.")
    mrr: str | None = Field(description=f"What it is worth then; null while pending. {AMOUNT}")
    kept: float | None = Field(description="Share of what it was worth when it was given.")

    @classmethod
    def of(cls, outcome: Outcome) -> "OutcomeBody":
        """The outcome, shown."""
        return cls(
            days=outcome.days,
            fate=outcome.fate.value,
            mrr=amount(outcome.mrr),
            kept=ratio(outcome.kept),
        )


class ConcessionBody(BaseModel):
    """What was given to an account, what came in return, and whether it helped (C5, N43)."""

    account: str = Field(description="The account.")
    kind: str = Field(description="fee_waiver, discount, credit or free_month.")
    value: str = Field(description="Minor units of `currency`.")
    currency: str = Field(description="ISO 4217.")
    granted_at: datetime = Field(description="When.")
    in_return: str | None = Field(description="What came in return; null: nothing.")
    by: str | None = Field(description="Staff e-mail.")
    reason: str | None = Field(description="Why, in words.")
    outcomes: list[OutcomeBody] = Field(description="The account 90, 180 and 365 days after.")


@router.get(
    "/concessions",
    summary="What was given to whom, for what, and what became of it",
    response_model=None,
    responses={200: {"model": Page[ConcessionBody]}},
)
async def list_concessions(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    format: ListFormat = ListFormat.JSON,  # noqa: A002 - the name is the parameter's
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ConcessionBody] | StreamingResponse:
    """By when they were granted; CSV is whole."""
    if format is ListFormat.CSV:
        return csv_response(
            CONCESSION_COLUMNS, _concessions(request.app.state.database, caller.workspace)
        )
    after = None if cursor is None else decode_place(cursor, Told)
    found = await contracts.list_concessions(tx, caller.workspace, after=after, limit=limit + 1)
    view = await reports.get_view(tx, caller.workspace)
    named = {granted.concession.account for granted in found}
    timelines = await steps.list_timelines(tx, caller.workspace, named)
    now = request.app.state.clock()
    return Page(
        items=[
            _concession(granted, view, timelines[granted.concession.account], now)
            for granted in found[:limit]
        ],
        next_cursor=_place_of(found[limit - 1]) if len(found) > limit else None,
    )


def _place_of(granted: Granted) -> str:
    return encode_place(Told(granted.concession.granted_at, granted.event))


def _concession(granted: Granted, view: View, timeline: Timeline, now: datetime) -> ConcessionBody:
    concession = granted.concession
    outcomes = outcomes_of(concession, timeline, view.rates, view.zone, now)
    return ConcessionBody(
        account=concession.account,
        kind=concession.kind.value,
        value=format(concession.value, "f"),
        currency=concession.currency,
        granted_at=concession.granted_at,
        in_return=concession.in_return,
        by=concession.by,
        reason=concession.reason,
        outcomes=[OutcomeBody.of(outcome) for outcome in outcomes],
    )


async def _concessions(database: Database, workspace: str) -> AsyncIterator[list[Sequence[object]]]:
    after: Told | None = None
    while True:
        async with database.transaction() as tx:
            found = await contracts.list_concessions(tx, workspace, after=after, limit=CHUNK)
        given = [granted.concession for granted in found]
        yield [tuple(getattr(each, column) for column in CONCESSION_COLUMNS) for each in given]
        if len(found) < CHUNK:
            return
        after = Told(found[-1].concession.granted_at, found[-1].event)


class OpportunityBody(BaseModel):
    """Something that an account may buy beside what it has: a lead, never revenue (C16)."""

    opportunity: str = Field(description="Its id.")
    account: str = Field(description="The account.")
    kind: str = Field(description="seat, add_on or cross_sell.")
    signal: str = Field(description="What speaks for it.")
    value: str | None = Field(description="Recurring revenue it may bring; null: unknown.")
    blocked_by: str | None = Field(description="What must happen before it is offered (N20).")

    @classmethod
    def of(cls, lead: Lead) -> "OpportunityBody":
        """The lead, shown."""
        of = lead.opportunity
        return cls(
            opportunity=lead.name,
            account=of.account,
            kind=of.kind.value,
            signal=of.signal,
            value=None if of.value is None else format(of.value, "f"),
            blocked_by=of.blocked_by,
        )


@router.get(
    "/opportunities",
    summary="What there is to expand",
    response_model=None,
    responses={200: {"model": Page[OpportunityBody]}},
)
async def list_opportunities(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    format: ListFormat = ListFormat.JSON,  # noqa: A002 - the name is the parameter's
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[OpportunityBody] | StreamingResponse:
    """By account: seats nearly taken, and offers that answer what it has wished for (C16, N22).

    Who pays by value has none for seats: added users are no revenue (C19).
    CSV is whole.
    """
    if format is ListFormat.CSV:
        chunks = _leads(request.app.state.database, caller.workspace)
        return csv_response(tuple(OpportunityBody.model_fields), chunks)
    after = leads.BEGINNING if cursor is None else decode_place(cursor, leads.Place)
    items: list[OpportunityBody] = []
    async for lead in list_leads(tx, caller.workspace, after=after):
        items.append(OpportunityBody.of(lead))
        if len(items) > limit:
            break
    more = len(items) > limit
    return Page(
        items=items[:limit],
        next_cursor=encode_place(_place_of_lead(items[limit - 1])) if more else None,
    )


def _place_of_lead(body: OpportunityBody) -> leads.Place:
    return leads.Place(body.account, body.opportunity)


async def _leads(database: Database, workspace: str) -> AsyncIterator[list[Sequence[object]]]:
    async with database.transaction() as tx:
        async for lead in list_leads(tx, workspace):
            yield [tuple(flat(OpportunityBody.of(lead)).values())]
