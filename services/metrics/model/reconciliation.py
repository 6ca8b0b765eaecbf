"""Our books against the billing system's own list of subscriptions: which differ, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from services.metrics.model.money import NOTHING, Amounts
from services.metrics.model.state import COUNTING, PricedState
from services.metrics.model.timeline import in_order, pieces_of


class Why(StrEnum):
    """Why a subscription is worth something else here than there."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    CURRENCY = "currency"
    STATUS = "status"
    PAUSE = "pause"
    UNRESOLVED = "unresolved"
    QUANTITY = "quantity"
    PRICE = "price"


class Side(NamedTuple):
    """A subscription as one side has it."""

    state: PricedState
    mrr: Fraction


class Differing(NamedTuple):
    """A subscription that is worth something else on both sides; None: that side has none."""

    subscription: str
    why: Why
    ours: Side | None
    theirs: Side | None


@dataclass(frozen=True, kw_only=True)
class AccountDiffers:
    """An account that is worth something else here than there."""

    account: str
    ours: Amounts
    theirs: Amounts
    subscriptions: Sequence[Differing]


def compared(
    account: str, ours: Iterable[PricedState], theirs: Iterable[PricedState], at: datetime
) -> AccountDiffers | None:
    """How the account differs at `at`; None where every subscription is worth the same."""
    here, there = sides_at(ours, at), sides_at(theirs, at)
    differing = [
        Differing(name, why_of(here.get(name), there.get(name)), here.get(name), there.get(name))
        for name in sorted(here.keys() | there.keys())
        if _amount(here.get(name)) != _amount(there.get(name))
    ]
    if not differing:
        return None
    return AccountDiffers(
        account=account,
        ours=_summed(here.values()),
        theirs=_summed(there.values()),
        subscriptions=differing,
    )


def sides_at(states: Iterable[PricedState], at: datetime) -> dict[str, Side]:
    """What each subscription is at `at`, by the states that had begun then."""
    sides: dict[str, Side] = {}
    for subscription, listed in groupby(in_order(states), key=attrgetter("subscription")):
        begun = [state for state in listed if state.effective_at <= at]
        if begun:
            pieces = [piece for piece in pieces_of(begun) if piece.at <= at]
            sides[subscription] = Side(begun[-1], pieces[-1].mrr if pieces else NOTHING)
    return sides


def why_of(ours: Side | None, theirs: Side | None) -> Why:
    """The first thing that explains a difference, the plainest first."""
    if ours is None:
        return Why.MISSING_HERE
    if theirs is None:
        return Why.MISSING_THERE
    mine, other = ours.state, theirs.state
    explanations = (
        (Why.CURRENCY, mine.currency != other.currency),
        (Why.STATUS, (mine.status in COUNTING) is not (other.status in COUNTING)),
        (Why.PAUSE, mine.paused is not other.paused),
        (Why.UNRESOLVED, bool(mine.unresolved or other.unresolved)),
        (Why.QUANTITY, mine.seats != other.seats),
    )
    return next((why for why, holds in explanations if holds), Why.PRICE)


def _amount(side: Side | None) -> tuple[str, Fraction] | None:
    """What a side is worth; nothing is nothing in any currency, and so is what is not there."""
    return None if side is None or side.mrr == 0 else (side.state.currency, side.mrr)


def _summed(sides: Iterable[Side]) -> Mapping[str, Fraction]:
    sums: dict[str, Fraction] = {}
    for side in sides:
        if side.mrr:
            currency = side.state.currency
            sums[currency] = sums.get(currency, NOTHING) + side.mrr
    return sums
