"""Retention over a span of months, read at its two ends (P19, D27).

A dip that has recovered is no loss, and who joined and left inside is in neither side (D28).
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import Month
from services.metrics.model.money import NOTHING, Amounts, Rates, share, worth


class Ends(NamedTuple):
    """What an account was worth just before the span began, and just before it ended."""

    start: Amounts
    end: Amounts


class Window(NamedTuple):
    """Both ends of a span at the rate of its last month (P16), over those who paid at its start."""

    base: Fraction
    retained: Fraction
    ndr: Fraction | None
    grr: Fraction | None
    logo_churn: Fraction | None
    customers_start: int


def window_of(accounts: Iterable[Ends], rates: Rates, last: Month) -> Window:
    """The window of these accounts; those that paid nothing at its start change nothing."""
    base = retained = floor = NOTHING
    customers = gone = 0
    for account in accounts:
        if not account.start:
            continue
        start, end = worth(account.start, rates, last), worth(account.end, rates, last)
        base, retained, floor = base + start, retained + end, floor + min(start, end)
        customers += 1
        gone += not account.end
    return Window(
        base=base,
        retained=retained,
        ndr=share(retained, base),
        grr=share(floor, base),
        logo_churn=share(gone, customers),
        customers_start=customers,
    )
