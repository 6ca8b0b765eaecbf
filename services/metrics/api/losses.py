"""Route of lost contracts: who opted out within the window has a line apart from churn (C4)."""

from datetime import date, datetime, time
from fractions import Fraction
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT
from services.metrics.api.parameters import AsOf, Months, Snapshot, as_of_or_now
from services.metrics.model.calendar import Month
from services.metrics.model.contracts import Contract, last_day, losses, opted_out
from services.metrics.model.money import shown, worth
from services.metrics.model.timeline import Timeline, amounts_before
from services.metrics.store import contracts, reports, steps
from services.metrics.store.contracts import Place
from services.metrics.store.reports import View
from shared.auth import Reading
from shared.db import Tx

router = APIRouter()

CHUNK = 500


class LossBody(BaseModel):
    """Contracts that ended, and the MRR that their accounts had just before their last day."""

    contracts: int = Field(description="How many.")
    mrr: str = Field(description=AMOUNT)


class LossesBody(BaseModel):
    """What ended in the span: opted out within the window, or churned."""

    currency: str = Field(description="The reporting currency.")
    opted_out: LossBody = Field(description="Left within the opt-out window.")
    churned: LossBody = Field(description="Cancelled after it, or not renewed.")


@router.get("/contracts/losses", summary="Contracts that ended, opt-outs apart from churn")
async def get_losses(
    request: Request, caller: Reading, tx: Snapshot, span: Months, as_of: AsOf = None
) -> LossesBody:
    """Contracts whose last day lies in the months of the span and not after `as_of`."""
    view = await reports.get_view(tx, caller.workspace)
    today = as_of_or_now(as_of, request).astimezone(ZoneInfo(view.zone)).date()
    ended: list[tuple[Contract, Fraction]] = []
    after: Place | None = contracts.BEGINNING
    while after is not None:
        page = await contracts.list_contracts(tx, caller.workspace, after=after, limit=CHUNK)
        found = [one.contract for one in page if _ended_within(one.contract, span, today)]
        ended += await _worth(tx, view, found)
        whole = len(page) == CHUNK
        after = Place(page[-1].contract.account, page[-1].contract.contract) if whole else None
    by_opt_out, by_churn = losses(ended)
    left = sum(opted_out(contract) for contract, _ in ended)
    return LossesBody(
        currency=view.currency,
        opted_out=LossBody(contracts=left, mrr=shown(by_opt_out)),
        churned=LossBody(contracts=len(ended) - left, mrr=shown(by_churn)),
    )


def _ended_within(contract: Contract, span: Months, today: date) -> bool:
    on = last_day(contract)
    return on is not None and on <= today and span.first <= _month(on) <= span.last


async def _worth(tx: Tx, view: View, ended: list[Contract]) -> list[tuple[Contract, Fraction]]:
    """Each contract with what its account was worth as its last day began."""
    accounts = {contract.account for contract in ended}
    timelines = await steps.list_timelines(tx, view.workspace, accounts) if accounts else {}
    return [(one, _worth_before(view, timelines[one.account], one)) for one in ended]


def _worth_before(view: View, timeline: Timeline, contract: Contract) -> Fraction:
    on = last_day(contract)
    assert on is not None, "it has ended"
    begins = datetime.combine(on, time(), ZoneInfo(view.zone))
    return worth(amounts_before(timeline, begins), view.rates, _month(on))


def _month(day: date) -> Month:
    return Month(day.year, day.month)
