"""Three readings of the same answers: by person, by account, by MRR.

An account is never given a class by its average: of a promoter and a detractor it has one each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.nps.model.classes import Counts
from services.nps.model.intervals import Interval
from services.nps.model.statistics import POINTS, Summary, score, summary


@dataclass(frozen=True, kw_only=True)
class AccountAnswers:
    """An account, silent or not, and what it is worth a month; mrr None: it was never told."""

    account: str
    counts: Counts
    mrr: Decimal | None

    @property
    def weight(self) -> Fraction:
        """What it weighs by MRR; nothing where that is unknown or below 0."""
        return max(Fraction(0), Fraction(self.mrr or 0))

    @property
    def points(self) -> Fraction:
        """Its own score, of one or more answers."""
        return Fraction(POINTS * self.counts.net, self.counts.n)


@dataclass(frozen=True, kw_only=True)
class AccountScore:
    """An account's own score; None while it is silent."""

    account: str
    n: int
    nps: float | None
    mrr: Decimal | None


@dataclass(frozen=True, kw_only=True)
class RollUp:
    """The readings side by side; None where nothing of the kind is known."""

    respondent: Summary
    per_account: list[AccountScore]
    account_mean: float | None
    mrr_weighted: float | None
    coverage_accounts: float | None
    coverage_mrr: float | None
    kish_effective_accounts: float | None
    mrr_weighted_bounds_if_silent_were: Interval | None
    """low: all detractors; high: all promoters."""


def roll_up(accounts: Sequence[AccountAnswers]) -> RollUp:
    """The readings over all known accounts, in the order given."""
    answering = [each for each in accounts if each.counts.n > 0]
    heard, all_weight = _weight(answering), _weight(accounts)
    weighted = sum((each.weight * each.points for each in answering), Fraction(0))
    return RollUp(
        respondent=summary(sum((each.counts for each in answering), Counts())),
        per_account=[
            AccountScore(
                account=each.account, n=each.counts.n, nps=score(each.counts), mrr=each.mrr
            )
            for each in accounts
        ],
        account_mean=_ratio(sum((each.points for each in answering), Fraction(0)), len(answering)),
        mrr_weighted=_ratio(weighted, heard),
        coverage_accounts=_ratio(len(answering), len(accounts)),
        coverage_mrr=_ratio(heard, all_weight),
        kish_effective_accounts=_kish(answering),
        mrr_weighted_bounds_if_silent_were=_bounds(weighted, heard, all_weight),
    )


def _weight(accounts: Sequence[AccountAnswers]) -> Fraction:
    return sum((each.weight for each in accounts), Fraction(0))


def _ratio(part: Fraction | int, whole: Fraction | int) -> float | None:
    return float(Fraction(part) / Fraction(whole)) if whole else None


def _kish(answering: Sequence[AccountAnswers]) -> float | None:
    """How many equal accounts would say as much: (sum w)^2 / sum w^2."""
    squares = sum((each.weight**2 for each in answering), Fraction(0))
    return _ratio(_weight(answering) ** 2, squares)


def _bounds(weighted: Fraction, heard: Fraction, all_weight: Fraction) -> Interval | None:
    if not all_weight:
        return None
    silent = POINTS * (all_weight - heard)
    return Interval(
        float((weighted - silent) / all_weight), float((weighted + silent) / all_weight)
    )
