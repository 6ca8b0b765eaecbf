"""Route of the KPIs: the numbers by which each role steers."""

from datetime import datetime
from fractions import Fraction

from fastapi import APIRouter, Request
from pydantic import Field

from services.metrics.api.bodies import AMOUNT, RATIO, MonthBody, ViewBody, view_fields
from services.metrics.model.calendar import ends_at, month_at, starts_at
from services.metrics.model.committed import committed
from services.metrics.model.money import NOTHING, ratio, shown, worth
from services.metrics.model.timeline import amounts_at, amounts_before, past_due_at
from services.metrics.model.windows import Ends, window_of
from services.metrics.store import reports
from services.metrics.store.settings import get_ndr_target
from services.metrics.store.tide import get_known_until
from shared.auth import Reading
from shared.http import Transaction

router = APIRouter()

YEAR_MONTHS = 12


class KpisBody(ViewBody):
    """Revenue now, the last whole month, and retention over the last twelve whole months."""

    at: datetime = Field(description="Now.")
    mrr: str = Field(description=f"MRR now. {AMOUNT}")
    arr: str = Field(description="Twelve times the MRR.")
    committed_mrr: str = Field(description="MRR once all known schedules have run.")
    at_risk_mrr: str = Field(description="The part of the MRR whose payment is overdue.")
    customers: int = Field(description="Accounts with MRR now.")
    month: str = Field(description="The last whole month.")
    last_month: MonthBody = Field(description="Its report.")
    ndr_year: float | None = Field(description=f"NDR over the last twelve whole months. {RATIO}")
    grr_year: float | None = Field(description=f"GRR over the last twelve whole months. {RATIO}")
    logo_churn_year: float | None = Field(description=f"Of those who paid a year ago. {RATIO}")
    ndr_target: float = Field(description="The workspace's target, 1.2 is 120 %.")
    ndr_to_target: str | None = Field(
        description="MRR that is missing to the target over those twelve months; negative: above."
    )


@router.get("/kpis", summary="The numbers by which roles steer")
async def get_kpis(request: Request, caller: Reading, tx: Transaction) -> KpisBody:
    """Revenue now, the last whole month, and retention over a year against its target."""
    now: datetime = request.app.state.clock()
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace)
    month = month_at(now, view.zone)
    last = month.previous
    months = await reports.get_months(tx, view, last, last)
    target = await get_ndr_target(tx, caller.workspace)
    mrr = agreed = late = NOTHING
    customers = 0
    ends: list[Ends] = []
    begin, end = starts_at(last.plus(1 - YEAR_MONTHS), view.zone), ends_at(last, view.zone)
    async for _, timeline in reports.walk(tx, view):
        held = amounts_at(timeline, now)
        mrr += worth(held, view.rates, month)
        agreed += worth(committed(timeline), view.rates, month)
        late += worth(past_due_at(timeline, now), view.rates, month)
        customers += bool(held)
        ends.append(Ends(amounts_before(timeline, begin), amounts_before(timeline, end)))
    year = window_of(ends, view.rates, last)
    return KpisBody(
        **view_fields(view, known_until),
        at=now,
        mrr=shown(mrr),
        arr=shown(mrr * YEAR_MONTHS),
        committed_mrr=shown(agreed),
        at_risk_mrr=shown(late),
        customers=customers,
        month=str(last),
        last_month=MonthBody.of(months.reports[last]),
        ndr_year=ratio(year.ndr),
        grr_year=ratio(year.grr),
        logo_churn_year=ratio(year.logo_churn),
        ndr_target=float(target),
        ndr_to_target=None
        if year.base == 0
        else shown(year.base * Fraction(target) - year.retained),
    )
