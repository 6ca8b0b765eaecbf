"""Opportunities: seats, add-ons and other products, from signals (C16, N22), never MRR (C19)."""

from decimal import Decimal
from typing import Any

import pytest

from services.metrics.model.opportunities import (
    Offer,
    OpportunityKind,
    PricingModel,
    desire_opportunities,
    seat_opportunity,
    seats_make_mrr,
)
from tests.unit.metrics.builders import item, mrr_at, state

OFFERS = {
    "sso": Offer("Enterprise", OpportunityKind.ADD_ON, "sso", Decimal(5000)),
    "audit log": Offer("Enterprise", OpportunityKind.ADD_ON, "audit log", Decimal(5000)),
    "video": Offer("Meet", OpportunityKind.CROSS_SELL, "video", None),
}


def seats(agreed: int | None, used: int, model: PricingModel | None = PricingModel.SEAT) -> Any:
    return seat_opportunity(
        "acme",
        pricing_model=model,
        seats_agreed=agreed,
        seats_used=used,
        value_proven=True,
        seat_price=Decimal(100),
    )


@pytest.mark.parametrize(("used", "found"), [(89, False), (90, True), (100, True), (130, True)])
def test_c16_nine_in_ten_seats_in_use_are_an_opportunity(used: int, found: bool):  # noqa: FBT001
    assert (seats(100, used) is not None) is found


@pytest.mark.parametrize(("used", "value"), [(95, 100), (100, 100), (101, 100), (130, 3000)])
def test_c16_it_is_worth_the_seats_above_the_contract_and_at_least_one(used: int, value: int):
    assert seats(100, used).value == value


@pytest.mark.parametrize("agreed", [None, 0])
def test_c16_without_agreed_seats_there_is_nothing_to_grow_from(agreed: int | None):
    assert seats(agreed, 5) is None


@pytest.mark.parametrize("model", [PricingModel.VALUE, None])
def test_c19_who_pays_by_value_adds_users_freely(model: PricingModel | None):
    assert seats(100, 500, model) is None
    assert not seats_make_mrr(model)


def test_c19_users_beyond_what_is_billed_never_make_mrr():
    billed = state("2026-01-01", items=[item("1000", 1)])

    assert mrr_at("2026-01-01", billed) == 1000
    assert seats_make_mrr(PricingModel.SEAT)


def test_n22_a_desire_that_an_offer_answers_is_an_opportunity_once_per_offer():
    found = desire_opportunities(
        "acme", ["video", "sso", "audit log", "teleport"], OFFERS, value_proven=True
    )

    assert [(each.kind, each.value) for each in found] == [
        (OpportunityKind.ADD_ON, Decimal(5000)),
        (OpportunityKind.CROSS_SELL, None),
    ]
    assert all("wishes for" in each.signal for each in found)


def test_n22_nothing_is_offered_before_the_value_is_proven():
    (waiting,) = desire_opportunities("acme", ["video"], OFFERS, value_proven=False)

    assert waiting.blocked_by == "value_proven"
