"""Route of the bridge: how MRR came from one end of a span to the other, by lever (J30)."""

from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT, RATIO, ViewBody, view_fields
from services.metrics.api.parameters import Accounts, KnownAt, Months, Snapshot, known_at_of
from services.metrics.model.bridge import Lever, Span, bridge_of, gap_to, without_losses
from services.metrics.model.calendar import ends_at, starts_at
from services.metrics.model.effects import effect_of_a_point
from services.metrics.model.money import NOTHING, ratio, shown
from services.metrics.model.timeline import amounts_before, first_paid_at
from services.metrics.store import reports
from services.metrics.store.settings import get_ndr_target
from services.metrics.store.tide import get_known_until
from shared.auth import Reading

router = APIRouter()


class LeverAccountBody(BaseModel):
    """An account behind a lever."""

    account: str = Field(description="The account: /v1/revenue/movements has its facts.")
    amount: str = Field(description=AMOUNT)


class LeverBody(BaseModel):
    """What one kind of movement did over the span."""

    kind: str = Field(description="new, reactivation, expansion, contraction or churn.")
    amount: str = Field(description=AMOUNT)
    ndr: float | None = Field(
        description="Points of NDR that it gave or took, 0.02 is two; null where it is no lever."
    )
    accounts_count: int = Field(description="How many accounts are behind it.")
    accounts: list[LeverAccountBody] = Field(description="Those behind it, the largest first.")


class BridgeBody(ViewBody):
    """mrr_start + fx + the levers = mrr_end; 1 + the levers' ndr = ndr."""

    first: str = Field(alias="from", serialization_alias="from", description="First month.")
    last: str = Field(alias="to", serialization_alias="to", description="Last month, included.")
    mrr_start: str = Field(description="MRR at the start, at the rates of the month before.")
    fx: str = Field(description="Its revaluation at the rates of the last month.")
    levers: list[LeverBody] = Field(description="In order: the steps of the waterfall.")
    mrr_end: str = Field(description="MRR at the end.")
    ndr: float | None = Field(description=f"Over the span. {RATIO}")
    ndr_target: float = Field(description="The workspace's target.")
    gap: float | None = Field(description="Points that are missing to it; negative beyond it.")
    ndr_without_losses: float | None = Field(
        description="What NDR would be without contraction and churn."
    )
    one_point: str | None = Field(
        description="MRR that one more point of retention would have kept over the span (J1)."
    )


@router.get("/revenue/bridge", summary="The bridge from one MRR to another, by lever")
async def get_bridge(
    caller: Reading,
    tx: Snapshot,
    span: Months,
    group: Accounts,
    known_at: KnownAt = None,
    accounts: Annotated[int, Query(ge=0, le=500, description="Accounts shown a lever.")] = 20,
) -> BridgeBody:
    """The waterfall from the start of `from` to the end of `to`, each account by its two ends."""
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(known_at))
    target = Fraction(await get_ndr_target(tx, caller.workspace))
    begin, end = starts_at(span.first, view.zone), ends_at(span.last, view.zone)
    spans: dict[str, Span] = {}
    async for account, timeline in reports.walk(tx, view, group):
        first_paid = first_paid_at(timeline)
        spans[account] = Span(
            amounts_before(timeline, begin),
            amounts_before(timeline, end),
            first_paid is None or first_paid >= begin,
        )
    bridge = bridge_of(spans, view.rates, span.first, span.last)
    effect = effect_of_a_point(bridge.mrr_start + bridge.fx, bridge.ndr, NOTHING)
    return BridgeBody(
        **view_fields(view, known_until),
        **{"from": str(span.first), "to": str(span.last)},
        mrr_start=shown(bridge.mrr_start),
        fx=shown(bridge.fx),
        levers=[_lever(lever, accounts) for lever in bridge.levers],
        mrr_end=shown(bridge.mrr_end),
        ndr=ratio(bridge.ndr),
        ndr_target=float(target),
        gap=ratio(gap_to(target, bridge)),
        ndr_without_losses=ratio(without_losses(bridge)),
        one_point=None if effect is None else shown(effect.next_month),
    )


def _lever(lever: Lever, accounts: int) -> LeverBody:
    return LeverBody(
        kind=lever.kind.value,
        amount=shown(lever.amount),
        ndr=ratio(lever.ndr),
        accounts_count=len(lever.accounts),
        accounts=[
            LeverAccountBody(account=account, amount=shown(amount))
            for account, amount in lever.accounts[:accounts]
        ],
    )
