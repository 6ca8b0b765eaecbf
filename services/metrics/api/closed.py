"""Routes of what was told once: closed months with their digests, and what was told otherwise."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.metrics.api.csv_lists import csv_response, flat
from services.metrics.api.parameters import ListFormat, Snapshot
from services.metrics.model.calendar import Month
from services.metrics.store import closing
from services.metrics.store.closing import ClosedMonth
from shared.auth import Reading
from shared.db import Database
from shared.http import (
    Cursor,
    InvalidRequest,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
)

router = APIRouter()

CHUNK = 100
COLUMNS = (
    "month",
    "closed_at",
    "known_at",
    "policy_version",
    "figures",
    "previous_digest",
    "digest",
)


class ClosedMonthBody(BaseModel):
    """A month as it was closed."""

    month: str = Field(description="The month.", examples=["2025-04"])
    closed_at: datetime = Field(description="When it was closed.")
    known_at: datetime = Field(
        description="Its figures are by what was recorded up to then, as months tells too."
    )
    policy_version: int = Field(description="Version of the rules by which figures are made.")
    figures: dict[str, Any] = Field(
        description="The report, exact: amounts and ratios as fractions, `-6/55`."
    )
    previous_digest: str = Field(description="Of the month before; 64 zeros for the first.")
    digest: str = Field(
        description="SHA-256 in hex over month, currency, policy_version, previous and figures as"
        " JSON with sorted keys: it binds all months before."
    )

    @classmethod
    def of(cls, closed: ClosedMonth) -> "ClosedMonthBody":
        """The month, shown."""
        return cls(
            month=str(closed.month),
            closed_at=closed.closed_at,
            known_at=closed.known_at,
            policy_version=closed.policy_version,
            figures=dict(closed.report),
            previous_digest=closed.previous_digest,
            digest=closed.digest,
        )


@router.get(
    "/revenue/closed-months",
    summary="Closed months with their digests",
    response_model=None,
    responses={200: {"model": Page[ClosedMonthBody]}},
)
async def list_closed_months(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    format: ListFormat = ListFormat.JSON,  # noqa: A002 - the name is the parameter's
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ClosedMonthBody] | StreamingResponse:
    """The months that were closed, the oldest first; each digest binds those before.

    CSV is whole; its figures are one JSON object, exact as in the digest.
    """
    if format is ListFormat.CSV:
        return csv_response(COLUMNS, _chunks(request.app.state.database, caller.workspace))
    after = None if cursor is None else _month_of(cursor)
    found = await closing.list_closed(tx, caller.workspace, after=after, limit=limit + 1)
    return Page(
        items=[ClosedMonthBody.of(closed) for closed in found[:limit]],
        next_cursor=_cursor(found, limit),
    )


async def _chunks(database: Database, workspace: str) -> AsyncIterator[list[Sequence[object]]]:
    after: Month | None = None
    while True:
        async with database.transaction() as tx:
            found = await closing.list_closed(tx, workspace, after=after, limit=CHUNK)
        yield [_line(ClosedMonthBody.of(closed)) for closed in found]
        if len(found) < CHUNK:
            return
        after = found[-1].month


def _line(body: ClosedMonthBody) -> Sequence[object]:
    told = flat(body) | {"figures": json.dumps(body.figures, sort_keys=True)}
    return [told[name] for name in COLUMNS]


def _month_of(cursor: str) -> Month:
    try:
        return Month.of(decode_cursor(cursor))
    except ValueError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def _cursor(found: Sequence[ClosedMonth], limit: int) -> str | None:
    return encode_cursor(str(found[limit - 1].month)) if len(found) > limit else None
