"""When an account has paid back what it cost to win, and who left before (M1)."""

from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import Month, ends_at, month_at, months_between
from services.metrics.model.money import NOTHING, Rates, worth
from services.metrics.model.timeline import Timeline, amounts_before, first_paid_at


class Payback(NamedTuple):
    """`paid_back_in`: the month in which margin covers the cost; None while it does not.

    `recovered` is what came in by the end of the span, at most the cost. `churned_before`: the
    account is worth nothing now and never paid its cost back; `lost` is what is missing then.
    """

    cost: Fraction
    paid_back_in: Month | None
    months: int | None
    recovered: Fraction
    churned_before: bool
    lost: Fraction


def payback_of(
    timeline: Timeline,
    cost: Fraction,
    margin: Fraction,
    rates: Rates,
    zone: str,
    through: Month,
) -> Payback | None:
    """The account's payback by the end of `through`; None if it has not paid by then.

    A month brings its closing MRR x margin. `months` counts the month of the first payment as 1.
    """
    first_at = first_paid_at(timeline)
    if first_at is None or (joined := month_at(first_at, zone)) > through:
        return None
    recovered, paid_back_in = NOTHING, None
    for month in months_between(joined, through):
        if recovered >= cost:
            break
        recovered += worth(amounts_before(timeline, ends_at(month, zone)), rates, month) * margin
        if recovered >= cost:
            paid_back_in = month
    live = bool(amounts_before(timeline, ends_at(through, zone)))
    churned_before = paid_back_in is None and recovered < cost and not live
    return Payback(
        cost=cost,
        paid_back_in=paid_back_in,
        months=None if paid_back_in is None else paid_back_in.since(joined) + 1,
        recovered=min(recovered, cost),
        churned_before=churned_before,
        lost=cost - recovered if churned_before else NOTHING,
    )
