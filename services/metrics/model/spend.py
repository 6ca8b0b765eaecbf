"""What was spent to win customers, by month (the spend of CAC, P25)."""

from collections.abc import Iterable
from fractions import Fraction

from services.metrics.model.calendar import Month
from services.metrics.model.identity import last_recorded
from shared.events.billing import SalesAndMarketing


def spend_by_month(facts: Iterable[SalesAndMarketing]) -> dict[Month, Fraction]:
    """Sales and marketing of each month, in minor units of the reporting currency.

    Of one month's the last recorded stands; a month of which nothing is said is absent.
    """
    stated = last_recorded(facts, key=lambda fact: Month.of(fact.month))
    return {month: Fraction(fact.amount) for month, fact in stated.items()}
