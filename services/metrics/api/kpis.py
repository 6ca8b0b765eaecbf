"""Route of the KPIs: the numbers by which each role steers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT, RATIO, MonthBody, ViewBody, view_fields
from services.metrics.api.parameters import AsOf, Snapshot, as_of_or_now
from services.metrics.model.calendar import Month, ends_at, month_at, starts_at
from services.metrics.model.committed import committed
from services.metrics.model.effects import effect_of_a_point
from services.metrics.model.money import NOTHING, ratio, shown, worth
from services.metrics.model.months import MonthReport
from services.metrics.model.movements import Kind
from services.metrics.model.payback import Payback, payback_of
from services.metrics.model.timeline import Timeline, amounts_at, amounts_before, past_due_at
from services.metrics.model.windows import Ends, Window, window_of
from services.metrics.store import reports
from services.metrics.store.cohorts import get_costs
from services.metrics.store.reports import View
from services.metrics.store.schedules import get_changes
from services.metrics.store.settings import get_ndr_target
from services.metrics.store.tide import get_known_until
from shared.auth import Reading
from shared.db import Tx

router = APIRouter()

YEAR_MONTHS = 12


class PaybackBody(BaseModel):
    """Whether accounts have paid back what it cost to win them (M1)."""

    accounts: int = Field(description="Accounts whose acquisition cost is known and that paid.")
    paid_back: int = Field(description="Those whose margin has covered the cost.")
    churned_before: int = Field(description="Those that left before.")
    lost: str = Field(description=f"What these did not pay back. {AMOUNT}")


class PointBody(BaseModel):
    """What one more point of monthly retention is worth (J1)."""

    next_month: str = Field(description=f"More MRR after a month. {AMOUNT}")
    in_a_year: str = Field(description="More MRR after twelve months of it.")


class KpisBody(ViewBody):
    """Revenue now, the last whole month, and retention over the last twelve whole months."""

    at: datetime = Field(description="As asked; now where nothing was.")
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
    one_point: PointBody | None = Field(
        description="By the last month's NDR and new MRR; null without an NDR."
    )
    payback: PaybackBody | None = Field(description="Null without a gross margin.")


@dataclass
class _Sums:
    """What all accounts come to now, with their ends over the last year."""

    mrr: Fraction = NOTHING
    committed: Fraction = NOTHING
    past_due: Fraction = NOTHING
    customers: int = 0
    ends: list[Ends] = field(default_factory=list)
    paybacks: list[Payback] = field(default_factory=list)


@router.get("/kpis", summary="The numbers by which roles steer")
async def get_kpis(request: Request, caller: Reading, tx: Snapshot, as_of: AsOf = None) -> KpisBody:
    """Revenue now, the last whole month, and retention over a year against its target."""
    now = as_of_or_now(as_of, request)
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace)
    last = month_at(now, view.zone).previous
    report = (await reports.get_months(tx, view, last, last)).reports[last]
    sums = await _sums(tx, view, now, last)
    year = window_of(sums.ends, view.rates, last)
    target = await get_ndr_target(tx, caller.workspace)
    return KpisBody(
        **view_fields(view, known_until),
        at=now,
        mrr=shown(sums.mrr),
        arr=shown(sums.mrr * YEAR_MONTHS),
        committed_mrr=shown(sums.committed),
        at_risk_mrr=shown(sums.past_due),
        customers=sums.customers,
        month=str(last),
        last_month=MonthBody.of(report),
        ndr_year=ratio(year.ndr),
        grr_year=ratio(year.grr),
        logo_churn_year=ratio(year.logo_churn),
        ndr_target=float(target),
        ndr_to_target=_missing(year, Fraction(target)),
        one_point=_one_point(report),
        payback=None if view.margin is None else _payback(sums.paybacks),
    )


async def _sums(tx: Tx, view: View, now: datetime, last: Month) -> _Sums:
    month = month_at(now, view.zone)
    begin, end = starts_at(last.plus(1 - YEAR_MONTHS), view.zone), ends_at(last, view.zone)
    costs = await get_costs(tx, view)
    changes = await get_changes(tx, view)
    sums = _Sums(
        committed=sum((worth(c, view.rates, month) for c in changes.by_account.values()), NOTHING)
    )
    async for account, timeline in reports.walk(tx, view):
        held = amounts_at(timeline, now)
        sums.mrr += worth(held, view.rates, month)
        sums.committed += worth(committed(timeline), view.rates, month)
        sums.past_due += worth(past_due_at(timeline, now), view.rates, month)
        sums.customers += bool(held)
        sums.ends.append(Ends(amounts_before(timeline, begin), amounts_before(timeline, end)))
        sums.paybacks += _payback_of(view, timeline, costs.get(account), last)
    return sums


def _payback_of(
    view: View, timeline: Timeline, cost: Fraction | None, last: Month
) -> list[Payback]:
    """The account's payback by the end of `last`; none where cost or margin are not known."""
    if cost is None or view.margin is None:
        return []
    found = payback_of(timeline, cost, view.margin, view.rates, view.zone, last)
    return [] if found is None else [found]


def _missing(year: Window, target: Fraction) -> str | None:
    """MRR that is missing to the target; None where nobody paid a year ago."""
    return None if year.base == 0 else shown(year.base * target - year.retained)


def _one_point(report: MonthReport) -> PointBody | None:
    effect = effect_of_a_point(report.mrr_end, report.ndr, report.net[Kind.NEW])
    if effect is None:
        return None
    return PointBody(next_month=shown(effect.next_month), in_a_year=shown(effect.in_a_year))


def _payback(paybacks: Sequence[Payback]) -> PaybackBody:
    return PaybackBody(
        accounts=len(paybacks),
        paid_back=sum(each.paid_back_in is not None for each in paybacks),
        churned_before=sum(each.churned_before for each in paybacks),
        lost=shown(sum((each.lost for each in paybacks), NOTHING)),
    )
