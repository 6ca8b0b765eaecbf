"""The score of counts, and how far to trust it (section 4 of the specification of nps)."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from services.nps.model.classes import AnswerClass, Counts
from services.nps.model.intervals import Z95, Interval, clipped, shown

POINTS = 100
FLAGGED_BELOW = 30  # answers; the interval is always shown, an arrow only where significant
COUNTS_ONLY_BELOW = 5  # answers; below, no score is put on a screen

# Pseudo-answers of the adjusted-Wald interval (Rocks 2016): 3/4 promoter, 3/2 passive, 3/4
# detractor. Wald's own has no width where everybody agrees.
PSEUDO_CLASS = 0.75
PSEUDO_N = 3


@dataclass(frozen=True, kw_only=True)
class Adjusted:
    """Counts with the pseudo-answers, on the scale -1 to 1."""

    n: float
    score: float
    variance: float

    @property
    def squared_error(self) -> float:
        """The squared standard error of the score."""
        return self.variance / self.n


@dataclass(frozen=True, kw_only=True)
class AdjustedInterval:
    """The adjusted-Wald interval in points; `low` and `high` are clipped to the scale."""

    centre: float
    half_width: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What counts say. Nothing but counts, n and too_few without an answer."""

    counts: Counts
    n: int
    nps: float | None
    nps_shown: int | None
    share: dict[AnswerClass, float] | None
    variance: float | None
    """Of the variable that is -1, 0 or +1."""
    se_wald: float | None
    moe95_wald: float | None
    ci95_adjusted_wald: AdjustedInterval | None
    too_few: bool


def summary(counts: Counts) -> Summary:
    """The score with its shares and intervals."""
    n = counts.n
    if n == 0:
        return Summary(
            counts=counts,
            n=0,
            nps=None,
            nps_shown=None,
            share=None,
            variance=None,
            se_wald=None,
            moe95_wald=None,
            ci95_adjusted_wald=None,
            too_few=True,
        )
    spread = variance(counts)
    error = POINTS * sqrt(spread / n)
    return Summary(
        counts=counts,
        n=n,
        nps=score(counts),
        nps_shown=shown(Fraction(POINTS * counts.net, n)),
        share={
            AnswerClass.PROMOTER: counts.promoter / n,
            AnswerClass.PASSIVE: counts.passive / n,
            AnswerClass.DETRACTOR: counts.detractor / n,
        },
        variance=spread,
        se_wald=error,
        moe95_wald=Z95 * error,
        ci95_adjusted_wald=interval(counts),
        too_few=n < FLAGGED_BELOW,
    )


def score(counts: Counts) -> float | None:
    """Points from counts, never from rounded shares; None without an answer."""
    return POINTS * counts.net / counts.n if counts.n else None


def variance(counts: Counts) -> float:
    """P + D - (P - D)^2, of one or more answers; reckoned in whole numbers, so 0 is exactly 0."""
    n = counts.n
    return ((counts.promoter + counts.detractor) * n - counts.net**2) / n**2


def adjusted(counts: Counts) -> Adjusted:
    """The counts with the pseudo-answers of the adjusted-Wald method."""
    n = counts.n + PSEUDO_N
    promoters = (counts.promoter + PSEUDO_CLASS) / n
    detractors = (counts.detractor + PSEUDO_CLASS) / n
    difference = promoters - detractors
    return Adjusted(n=n, score=difference, variance=promoters + detractors - difference**2)


def interval(counts: Counts) -> AdjustedInterval:
    """The 95 % adjusted-Wald interval, centred on the adjusted score."""
    found = adjusted(counts)
    centre = POINTS * found.score
    half = POINTS * Z95 * sqrt(found.squared_error)
    return AdjustedInterval(
        centre=centre,
        half_width=half,
        low=clipped(centre - half, low=-POINTS, high=POINTS),
        high=clipped(centre + half, low=-POINTS, high=POINTS),
    )


def if_silent_were(counts: Counts, *, population: int) -> Interval | None:
    """The score if all who did not answer were detractors (low), or promoters (high).

    None where nobody was asked. Raises ValueError for more answers than people.
    """
    silent = population - counts.n
    if silent < 0:
        raise ValueError(f"{counts.n} answers of {population} people")
    if population == 0:
        return None
    return Interval(
        POINTS * (counts.net - silent) / population, POINTS * (counts.net + silent) / population
    )


def finite_population_factor(*, n: int, population: int) -> float:
    """What a standard error shrinks by if n of so many were drawn by chance.

    Never used unless asked for: who answers is not chance. Raises ValueError unless 1 <= n <= N.
    """
    if not 1 <= n <= population:
        raise ValueError(f"{n} of {population}")
    return sqrt((population - n) / (population - 1)) if population > 1 else 0.0


def holm(probabilities: Sequence[float]) -> list[float]:
    """The probabilities of several looks, adjusted by Holm's method, in the order given."""
    order = sorted(range(len(probabilities)), key=lambda at: probabilities[at])
    found = [0.0] * len(probabilities)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * probabilities[at]))
        found[at] = highest
    return found
