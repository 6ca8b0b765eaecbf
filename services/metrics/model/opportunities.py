"""Opportunities to grow an account: seats, add-ons, other products (C16, N22, C19).

An opportunity is a lead, never revenue: only what is billed makes MRR.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

SEATS_NEARLY_TAKEN = Fraction(9, 10)  # of the seats agreed; above it growth meets the contract
VALUE_PROVEN = "value_proven"  # N20: nothing is offered before the customer has seen the value


class OpportunityKind(StrEnum):
    """The three ways to grow a customer (C16)."""

    SEAT = "seat"
    ADD_ON = "add_on"
    CROSS_SELL = "cross_sell"


class PricingModel(StrEnum):
    """What the customer pays by."""

    SEAT = "seat"
    VALUE = "value"


@dataclass(frozen=True, kw_only=True)
class Opportunity:
    """A lead with the signal it comes from. `blocked_by` names what must happen first."""

    account: str
    kind: OpportunityKind
    signal: str
    value: Decimal | None = None
    blocked_by: str | None = None
    offer: str | None = None
    """What would be sold; None of seats, which the account has already."""


class Offer(NamedTuple):
    """Something that can be sold: `feature` is what answers a desire."""

    name: str
    kind: OpportunityKind
    feature: str
    value: Decimal | None


def seat_opportunity(
    account: str,
    *,
    pricing_model: PricingModel | None,
    seats_agreed: int | None,
    seats_used: int,
    value_proven: bool,
    seat_price: Decimal | None = None,
) -> Opportunity | None:
    """More seats, once nine in ten are in use (C16); None for who pays by value.

    Priced by value, users join freely: they raise reach and health and never make MRR (C19).
    """
    if pricing_model is not PricingModel.SEAT or not seats_agreed:
        return None
    if Fraction(seats_used, seats_agreed) < SEATS_NEARLY_TAKEN:
        return None
    over = max(0, seats_used - seats_agreed)
    return Opportunity(
        account=account,
        kind=OpportunityKind.SEAT,
        signal=f"{seats_used} of {seats_agreed} seats in use",
        value=None if seat_price is None else seat_price * max(1, over),
        blocked_by=blocked_by(value_proven=value_proven),
    )


def desire_opportunities(
    account: str, desired: Iterable[str], offers: Mapping[str, Offer], *, value_proven: bool
) -> list[Opportunity]:
    """An opportunity for each desired feature that an offer answers (N22), one per offer."""
    matched = {offers[feature].name: offers[feature] for feature in desired if feature in offers}
    return [
        Opportunity(
            account=account,
            kind=offer.kind,
            signal=f"wishes for {offer.feature}",
            value=offer.value,
            blocked_by=blocked_by(value_proven=value_proven),
            offer=offer.name,
        )
        for _, offer in sorted(matched.items())
    ]


def blocked_by(*, value_proven: bool) -> str | None:
    """What stands in the way of offering anything; None once the value is proven (N20)."""
    return None if value_proven else VALUE_PROVEN


def seats_make_mrr(pricing_model: PricingModel | None) -> bool:
    """Whether added users are an expansion once they are billed: only where seats are the price
    (C19).
    """
    return pricing_model is PricingModel.SEAT
