"""Routes of the offers: what answers a wish for a feature, as add-on or as another product."""

from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from services.metrics.model.opportunities import Offer, OpportunityKind
from services.metrics.store.offers import delete_offer, list_offers, save_offer
from shared.auth import Managing, Reading
from shared.db import Tx
from shared.http import Transaction

router = APIRouter()

MOST_FEATURES = 100
Name = Annotated[
    str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="Its name.")
]
Feature = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00]*$")]


class OfferKind(StrEnum):
    """How an offer grows an account (C16); seats need no offer."""

    ADD_ON = "add_on"
    CROSS_SELL = "cross_sell"


class OfferTerms(BaseModel):
    """What an offer is."""

    kind: OfferKind = Field(description="add_on, or cross_sell: another product.")
    features: list[Feature] = Field(
        min_length=1,
        max_length=MOST_FEATURES,
        description="What it answers: a wish for one of them is an opportunity (N22).",
        examples=[["sso", "audit log"]],
    )
    value: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)] | None = Field(
        default=None,
        description="MRR it may bring, minor units of the reporting currency; null: unknown.",
        examples=["5000"],
    )


class OfferBody(BaseModel):
    """An offer."""

    name: str = Field(description="Its name.")
    kind: OfferKind = Field(description="add_on or cross_sell.")
    features: list[str] = Field(description="What it answers.")
    value: str | None = Field(description="MRR it may bring; null: unknown.")


class OffersBody(BaseModel):
    """The offers of the workspace, by name."""

    items: list[OfferBody] = Field(description="All of them.")


@router.get("/offers", summary="The offers")
async def get_offers(caller: Reading, tx: Transaction) -> OffersBody:
    """What can be sold beside what accounts have, and which wishes it answers."""
    return await _offers(tx, caller.workspace)


@router.put("/offers/{name}", summary="Set an offer")
async def put_offer(caller: Managing, tx: Transaction, name: Name, terms: OfferTerms) -> OffersBody:
    """Replace the offer of this name. A feature is answered by one offer: the one set last."""
    offers = [
        Offer(name, OpportunityKind(terms.kind.value), feature, terms.value)
        for feature in sorted(set(terms.features))
    ]
    await save_offer(tx, caller.workspace, name, offers)
    return await _offers(tx, caller.workspace)


@router.delete("/offers/{name}", summary="Withdraw an offer")
async def remove_offer(caller: Managing, tx: Transaction, name: Name) -> OffersBody:
    """Forget the offer: its opportunities close at the next look."""
    await delete_offer(tx, caller.workspace, name)
    return await _offers(tx, caller.workspace)


async def _offers(tx: Tx, workspace: str) -> OffersBody:
    known = (await list_offers(tx, workspace)).values()
    items = []
    for name, group in groupby(known, key=attrgetter("name")):
        listed = list(group)
        value = listed[0].value
        items.append(
            OfferBody(
                name=name,
                kind=OfferKind(listed[0].kind.value),
                features=[offer.feature for offer in listed],
                value=None if value is None else format(value, "f"),
            )
        )
    return OffersBody(items=items)
