"""Route of the restatements: ended months that were told otherwise later, by cause."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT
from services.metrics.api.parameters import instant_of
from services.metrics.model import POLICY_VERSION
from services.metrics.model.money import shown
from services.metrics.store import reports
from services.metrics.store.restatements import Learned, Restatement, list_restatements
from shared.auth import Reading
from shared.http import (
    Cursor,
    InvalidRequest,
    Limit,
    Page,
    Transaction,
    decode_cursor,
    encode_cursor,
)

router = APIRouter()


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


@router.get("/revenue/restatements", summary="Ended months that were told otherwise later")
async def get_restatements(
    caller: Reading,
    tx: Transaction,
    since: Annotated[
        str, Query(max_length=40, description="Record time: only what became known from then on.")
    ],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RestatementBody]:
    """By record time and account: what changed of which months, why, and by which facts."""
    view = await reports.get_view(tx, caller.workspace)
    found = await list_restatements(
        tx,
        view,
        since=instant_of("since", since),
        after=None if cursor is None else _learned(cursor),
        limit=limit + 1,
    )
    more = len(found) > limit
    return Page(
        items=[RestatementBody.of(restatement) for restatement in found[:limit]],
        next_cursor=_cursor(found[limit - 1].learned) if more else None,
    )


def _learned(cursor: str) -> Learned:
    try:
        return msgspec.json.decode(decode_cursor(cursor), type=Learned)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def _cursor(learned: Learned) -> str:
    return encode_cursor(msgspec.json.encode(learned).decode())
