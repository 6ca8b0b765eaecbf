"""Routes of windows and points: retention over a span by its two ends, and MRR at an instant."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT, RATIO, ViewBody, view_fields
from services.metrics.api.parameters import (
    Accounts,
    KnownAt,
    Months,
    Snapshot,
    known_at_of,
)
from services.metrics.model.calendar import ends_at, month_at, starts_at
from services.metrics.model.committed import point_at
from services.metrics.model.money import ratio, shown, worth
from services.metrics.model.timeline import amounts_before
from services.metrics.model.windows import Ends, window_of
from services.metrics.store import reports
from services.metrics.store.schedules import get_changes
from services.metrics.store.tide import get_known_until
from shared.auth import Reading
from shared.http import instant_of

router = APIRouter()


class WindowBody(ViewBody):
    """A span of whole months, read at its two ends at the rates of its last month."""

    first: str = Field(alias="from", serialization_alias="from", description="First month.")
    last: str = Field(alias="to", serialization_alias="to", description="Last month, included.")
    base: str = Field(description=f"MRR at its start. {AMOUNT}")
    retained: str = Field(description="What those accounts come to at its end.")
    ndr: float | None = Field(description=f"retained / base. {RATIO}")
    grr: float | None = Field(description=f"Sum of the lower end of each / base. {RATIO}")
    logo_churn: float | None = Field(description=f"Gone / paying at the start. {RATIO}")
    customers_start: int = Field(description="Accounts with MRR at its start.")


@router.get("/revenue/windows", summary="Retention over a span of months")
async def get_window(
    caller: Reading, tx: Snapshot, span: Months, group: Accounts, known_at: KnownAt = None
) -> WindowBody:
    """NDR, GRR and logo churn of who paid at the start of `from`, at the end of `to`."""
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(known_at))
    begin, end = starts_at(span.first, view.zone), ends_at(span.last, view.zone)
    ends = [
        Ends(amounts_before(timeline, begin), amounts_before(timeline, end))
        async for _, timeline in reports.walk(tx, view, group)
    ]
    window = window_of(ends, view.rates, span.last)
    return WindowBody(
        **view_fields(view, known_until),
        **{"from": str(span.first), "to": str(span.last)},
        base=shown(window.base),
        retained=shown(window.retained),
        ndr=ratio(window.ndr),
        grr=ratio(window.grr),
        logo_churn=ratio(window.logo_churn),
        customers_start=window.customers_start,
    )


class PointBody(BaseModel):
    """What is worth at an instant, knowing only what was recorded by then."""

    instant: datetime = Field(description="As asked.")
    mrr: str = Field(description=f"MRR. {AMOUNT}")
    cmrr: str = Field(description="The same once all schedules known then have run; trials are 0.")
    unresolved_schedules: list[str] = Field(
        description="Schedules that name a price or a coupon nobody has told: they are left out."
    )


@router.get("/revenue/points", summary="MRR and committed MRR at an instant")
async def get_point(
    caller: Reading,
    tx: Snapshot,
    at: Annotated[
        str,
        Query(max_length=40, description="An instant; facts recorded up to it count."),
    ],
) -> PointBody:
    """MRR and CMRR at `at`, by what was recorded until then."""
    instant = instant_of("at", at)
    view = await reports.get_view(tx, caller.workspace, known_at=instant)
    timelines = [timeline async for _, timeline in reports.walk(tx, view)]
    point = point_at(timelines, instant, view.rates, view.zone)
    changes = await get_changes(tx, view)
    month = month_at(instant, view.zone)
    scheduled = (worth(change, view.rates, month) for change in changes.by_account.values())
    return PointBody(
        instant=point.instant,
        mrr=shown(point.mrr),
        cmrr=shown(sum(scheduled, point.cmrr)),
        unresolved_schedules=list(changes.unresolved),
    )
