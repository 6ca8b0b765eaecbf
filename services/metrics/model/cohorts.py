"""Cohorts: accounts by the month of their first paid MRR, and what became of them (P24).

A member stays for good: who left in the first month counts in the size, who returned in the rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import Month, month_at
from services.metrics.model.identity import FactName, name_of
from services.metrics.model.money import NOTHING, Amounts, Rates, share, worth
from services.metrics.model.months import MonthSums
from services.metrics.model.movements import Kind, jumps_of
from services.metrics.model.timeline import Timeline
from shared.events.billing import NpsResponse

PROMOTER_FROM = 9  # of 10
DETRACTOR_TO = 6
PERCENT = 100


class Joined(NamedTuple):
    """When an account first paid, and how much that was."""

    month: Month
    base: Amounts


@dataclass(frozen=True, kw_only=True)
class CohortMonth:
    """The cohort at the end of a month."""

    customers: int
    mrr: Fraction
    logo_retention: Fraction | None
    ndr: Fraction | None


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Who first paid in one month. `nps` is -100 to 100; what is unknown is None."""

    size: int
    base_mrr: Fraction
    rows: Mapping[Month, CohortMonth]
    cac: Fraction | None
    nps: Fraction | None
    ltv: Fraction | None


def joined_of(timeline: Timeline, zone: str) -> Joined | None:
    """The cohort of the account and its first paid MRR (P24); None while it has never paid."""
    jumps = jumps_of(timeline)
    return Joined(month_at(jumps[0].at, zone), jumps[0].after) if jumps else None


def cohort_of(
    month: Month,
    *,
    size: int,
    base: Amounts,
    sums: Mapping[Month, MonthSums],
    rates: Rates,
    costs: Iterable[Decimal],
    scores: Iterable[int],
    margin: Fraction | None,
) -> Cohort:
    """The cohort of `month`: `size` members whose first paid MRR adds up to `base`.

    `sums` are the months of its members alone, from `month` on. A row's NDR values the base at
    that row's rates (P16). `costs` are what its members cost to win, `scores` their latest answers.
    """
    rows = {
        at: CohortMonth(
            customers=of_month.customers_end,
            mrr=of_month.mrr_end,
            logo_retention=share(of_month.customers_end, size),
            ndr=share(of_month.mrr_end, worth(base, rates, at)),
        )
        for at, of_month in sorted(sums.items())
    }
    return Cohort(
        size=size,
        base_mrr=worth(base, rates, month),
        rows=rows,
        cac=cohort_cac(costs, size),
        nps=nps(scores),
        ltv=cohort_ltv(month, sums, margin),
    )


def cohort_cac(costs: Iterable[Decimal], size: int) -> Fraction | None:
    """Sum of acquisition costs / size: what a member cost to win (P24); None if none is known."""
    known = list(costs)
    return share(sum(map(Fraction, known), NOTHING), size) if known else None


def nps(scores: Iterable[int]) -> Fraction | None:
    """% of 9-10 less % of 0-6 (P24), -100 to 100; None without an answer."""
    answers = list(scores)
    promoters = sum(score >= PROMOTER_FROM for score in answers)
    detractors = sum(score <= DETRACTOR_TO for score in answers)
    return share(PERCENT * (promoters - detractors), len(answers))


def cohort_ltv(
    month: Month, sums: Mapping[Month, MonthSums], margin: Fraction | None
) -> Fraction | None:
    """MRR per live account x margin / (lost / at risk) (P24): losses and those who could be lost
    are summed over the months after the first. None where none is live or none was lost.
    """
    if margin is None or not sums:
        return None
    later = [of_month for at, of_month in sums.items() if at > month]
    lost = sum(of_month.tally.customers.get(Kind.CHURN, 0) for of_month in later)
    at_risk = sum(of_month.customers_start for of_month in later)
    last = sums[max(sums)]
    per_account = share(last.mrr_end, last.customers_end)
    rate = share(lost, at_risk)
    if per_account is None or rate is None:
        return None
    return share(per_account * margin, rate)


def latest_answers(answers: Iterable[NpsResponse]) -> dict[tuple[str, str], int]:
    """The latest score of each (account, respondent), by when it was given (P24)."""
    latest: dict[tuple[str, str], tuple[datetime, FactName, int]] = {}
    for answer in answers:
        key = (answer.account, answer.respondent)
        given = (answer.effective_at, name_of(answer), answer.score)
        if key not in latest or latest[key] < given:
            latest[key] = given
    return {key: score for key, (_, _, score) in latest.items()}
