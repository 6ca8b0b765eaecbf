"""Routes of what was told once: closed months with their digests, and what was told otherwise."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.metrics.api.parameters import Snapshot
from services.metrics.model.calendar import Month
from services.metrics.store import closing
from services.metrics.store.closing import ClosedMonth
from shared.auth import Reading
from shared.http import (
    Cursor,
    InvalidRequest,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
)

router = APIRouter()


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


@router.get("/revenue/closed-months", summary="Closed months with their digests")
async def list_closed_months(
    caller: Reading, tx: Snapshot, limit: Limit = 50, cursor: Cursor = None
) -> Page[ClosedMonthBody]:
    """The months that were closed, the oldest first; each digest binds those before."""
    after = None if cursor is None else _month_of(cursor)
    found = await closing.list_closed(tx, caller.workspace, after=after, limit=limit + 1)
    return Page(
        items=[ClosedMonthBody.of(closed) for closed in found[:limit]],
        next_cursor=_cursor(found, limit),
    )


def _month_of(cursor: str) -> Month:
    try:
        return Month.of(decode_cursor(cursor))
    except ValueError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def _cursor(found: Sequence[ClosedMonth], limit: int) -> str | None:
    return encode_cursor(str(found[limit - 1].month)) if len(found) > limit else None
