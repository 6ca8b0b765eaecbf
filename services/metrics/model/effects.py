"""What a little more retention is worth (J1): the case for keeping customers, in money."""

from fractions import Fraction
from typing import NamedTuple

NDR_TARGET = Fraction(120, 100)  # J29: leaders are above 100 %, the playbook's own target
POINT = Fraction(1, 100)
MONTHS_A_YEAR = 12


class Effect(NamedTuple):
    """MRR gained by one more point of monthly retention, next month and in a year."""

    next_month: Fraction
    in_a_year: Fraction


def projected(mrr: Fraction, ndr: Fraction, new_mrr: Fraction, months: int) -> Fraction:
    """MRR after so many months in which each keeps `ndr` of what there was and adds `new_mrr`."""
    for _ in range(months):
        mrr = mrr * ndr + new_mrr
    return mrr


def effect_of_a_point(mrr: Fraction, ndr: Fraction | None, new_mrr: Fraction) -> Effect | None:
    """What +1 point of monthly NDR changes, all else being equal (J1); None without an NDR."""
    if ndr is None:
        return None
    next_month, in_a_year = (
        projected(mrr, ndr + POINT, new_mrr, months) - projected(mrr, ndr, new_mrr, months)
        for months in (1, MONTHS_A_YEAR)
    )
    return Effect(next_month, in_a_year)


def customer_lifetime_value(
    mrr: Fraction, margin: Fraction | None, months: Fraction
) -> Fraction | None:
    """Lifetime value of one customer: its own MRR x margin x the months it stays (N11).

    The base-wide LTV divides the average by churn (P25); this one is a part of that whole.
    """
    return None if margin is None else mrr * margin * months
