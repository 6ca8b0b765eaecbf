"""Concessions: what was given to whom, what came in return, and whether it helped (C5, N43)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import month_at
from services.metrics.model.money import NOTHING, Rates, share, worth
from services.metrics.model.timeline import Timeline, amounts_at

CHECKPOINT_DAYS = (90, 180, 365)  # N43: a save is measured over time


class ConcessionKind(StrEnum):
    """What was given."""

    FEE_WAIVER = "fee_waiver"
    DISCOUNT = "discount"
    CREDIT = "credit"
    FREE_MONTH = "free_month"


@dataclass(frozen=True, kw_only=True)
class Concession:
    """A concession, worth `value` minor units of `currency`; `in_return` None: for nothing."""

    account: str
    kind: ConcessionKind
    value: Decimal
    currency: str
    granted_at: datetime
    in_return: str | None = None
    by: str | None = None
    reason: str | None = None


class Fate(StrEnum):
    """What became of an account that was given something."""

    PENDING = "pending"
    LOST = "lost"
    SHRUNK = "shrunk"
    KEPT = "kept"
    GROWN = "grown"


class Outcome(NamedTuple):
    """The account so many days after; `mrr` and `kept`, the share left, are None while pending."""

    days: int
    fate: Fate
    mrr: Fraction | None
    kept: Fraction | None


def waived_fee(
    account: str,
    *,
    charged: Decimal,
    waived: bool,
    currency: str,
    granted_at: datetime,
    reason: str | None,
) -> Concession | None:
    """The concession that a waived onboarding fee is; None where it was charged (C5).

    The waiver is about the fee alone: onboarding takes place all the same.
    """
    if not waived:
        return None
    return Concession(
        account=account,
        kind=ConcessionKind.FEE_WAIVER,
        value=charged,
        currency=currency,
        granted_at=granted_at,
        reason=reason,
    )


def outcomes_of(
    concession: Concession, timeline: Timeline, rates: Rates, zone: str, now: datetime
) -> tuple[Outcome, ...]:
    """The account 90, 180 and 365 days after, against what it was worth when it was given (N43)."""
    return tuple(_outcome(concession, days, timeline, rates, zone, now) for days in CHECKPOINT_DAYS)


def given_for_nothing(
    concessions: Iterable[Concession], rates: Rates, zone: str
) -> Fraction | None:
    """The share of all that was given for which nothing came in return, by value (N43)."""
    given = nothing = NOTHING
    for concession in concessions:
        value = worth_of(concession, rates, zone)
        given += value
        nothing += value if concession.in_return is None else NOTHING
    return share(nothing, given)


def worth_of(concession: Concession, rates: Rates, zone: str) -> Fraction:
    """The concession in the reporting currency, at the rate of its month."""
    amounts = {concession.currency: Fraction(concession.value)}
    return worth(amounts, rates, month_at(concession.granted_at, zone))


def _outcome(
    concession: Concession, days: int, timeline: Timeline, rates: Rates, zone: str, now: datetime
) -> Outcome:
    at = concession.granted_at + timedelta(days=days)
    if at > now:
        return Outcome(days, Fate.PENDING, None, None)
    # Both at the later rate: what the exchange did is not what the concession did.
    month = month_at(at, zone)
    before = worth(amounts_at(timeline, concession.granted_at), rates, month)
    after = worth(amounts_at(timeline, at), rates, month)
    return Outcome(days, _fate(before, after), after, share(after, before))


def _fate(before: Fraction, after: Fraction) -> Fate:
    if after == 0:
        return Fate.LOST
    if after == before:
        return Fate.KEPT
    return Fate.GROWN if after > before else Fate.SHRUNK
