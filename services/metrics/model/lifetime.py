"""What a single customer is worth over its life (N11); the base's LTV is a month's (P25)."""

from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import Month, ends_at, month_at, months_between
from services.metrics.model.money import NOTHING, Rates, share, worth
from services.metrics.model.timeline import Timeline, amounts_before, first_paid_at


class Lifetime(NamedTuple):
    """A customer's value by the end of a month: what it brought, and what it may still bring.

    `expected` is None where nothing says how long customers stay.
    """

    months: int
    realised: Fraction
    expected: Fraction | None

    @property
    def clv(self) -> Fraction | None:
        """Both together; None where one is unknown."""
        return None if self.expected is None else self.realised + self.expected


def lifetime_of(
    timeline: Timeline,
    margin: Fraction,
    logo_churn: Fraction | None,
    rates: Rates,
    zone: str,
    through: Month,
) -> Lifetime | None:
    """The customer's value by the end of `through`; None if it has not paid by then.

    Realised: each month's closing MRR x margin, at that month's rates. Expected: the closing MRR x
    margin / the base's logo churn of `through`; nothing for who left, unknown where nobody did.
    """
    first_at = first_paid_at(timeline)
    if first_at is None or (joined := month_at(first_at, zone)) > through:
        return None
    closing = [
        worth(amounts_before(timeline, ends_at(month, zone)), rates, month)
        for month in months_between(joined, through)
    ]
    held = closing[-1] * margin
    return Lifetime(
        months=len(closing),
        realised=sum(closing, NOTHING) * margin,
        expected=NOTHING if not held else None if logo_churn is None else share(held, logo_churn),
    )
