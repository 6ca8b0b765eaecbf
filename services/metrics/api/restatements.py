"""Route of the restatements: ended months that were told otherwise later, by cause."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT
from services.metrics.api.csv_lists import csv_response
from services.metrics.api.parameters import ListFormat, Snapshot
from services.metrics.model import POLICY_VERSION
from services.metrics.model.knowledge import EPOCH
from services.metrics.model.money import shown
from services.metrics.store import reports
from services.metrics.store.reports import View
from services.metrics.store.restatements import Learned, Restatement, list_restatements
from shared.auth import Reading
from shared.db import Database
from shared.http import (
    Cursor,
    Limit,
    Page,
    decode_place,
    encode_place,
    instant_of,
)

router = APIRouter()

CHUNK = 200
COLUMNS = ("known_at", "account", "cause", "facts", "month", "change", "policy_version")


class RestatementBody(BaseModel):
    """What was learned at a record time and changed months that had ended by then."""

    known_at: datetime = Field(description="From then on the months are told as they are now.")
    account: str | None = Field(description="The account; null for a rate, which is everybody's.")
    cause: str = Field(description="late, void, correction, rate or mapping.")
    facts: list[str] = Field(description="Ids of the facts that were learned.")
    months: dict[str, str] = Field(
        description=f"How each month's closing balance changed: now less before. {AMOUNT}"
    )
    policy_version: int = Field(description="Version of the rules by which figures are made.")

    @classmethod
    def of(cls, restatement: Restatement) -> "RestatementBody":
        """The restatement, shown."""
        return cls(
            known_at=restatement.learned.known_at,
            account=restatement.learned.account or None,
            cause=restatement.cause.value,
            facts=[name.id for name in restatement.facts],
            months={str(month): shown(change) for month, change in restatement.months.items()},
            policy_version=POLICY_VERSION,
        )


@router.get(
    "/revenue/restatements",
    summary="Ended months that were told otherwise later",
    response_model=None,
    responses={200: {"model": Page[RestatementBody]}},
)
async def get_restatements(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    since: Annotated[
        str | None,
        Query(max_length=40, description="Record time: only what became known from then on."),
    ] = None,
    format: ListFormat = ListFormat.JSON,  # noqa: A002 - the name is the parameter's
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RestatementBody] | StreamingResponse:
    """By record time and account: what changed of which months, why, and by which facts.

    CSV is whole: a line for each month that changed.
    """
    view = await reports.get_view(tx, caller.workspace)
    begin = EPOCH if since is None else instant_of("since", since)
    if format is ListFormat.CSV:
        return csv_response(COLUMNS, _chunks(request.app.state.database, view, begin))
    after = None if cursor is None else decode_place(cursor, Learned)
    found = await list_restatements(tx, view, since=begin, after=after, limit=limit + 1)
    more = len(found) > limit
    return Page(
        items=[RestatementBody.of(restatement) for restatement in found[:limit]],
        next_cursor=encode_place(found[limit - 1].learned) if more else None,
    )


async def _chunks(
    database: Database, view: View, since: datetime
) -> AsyncIterator[list[Sequence[object]]]:
    after: Learned | None = None
    while True:
        async with database.transaction() as tx:
            found = await list_restatements(tx, view, since=since, after=after, limit=CHUNK)
        yield [line for restatement in found for line in _lines(RestatementBody.of(restatement))]
        if len(found) < CHUNK:
            return
        after = found[-1].learned


def _lines(body: RestatementBody) -> list[Sequence[object]]:
    facts = " ".join(body.facts)
    return [
        (body.known_at, body.account, body.cause, facts, month, change, body.policy_version)
        for month, change in body.months.items()
    ]
