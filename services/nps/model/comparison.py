"""Two scores side by side: of different people, of the same people, and by their mix."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import erfc, exp, sqrt

from services.nps.model.classes import STEP, AnswerClass, Counts
from services.nps.model.intervals import SIGNIFICANT_BELOW, Z95, clipped, shown, two_sided
from services.nps.model.statistics import POINTS, adjusted

WIDEST = 2 * POINTS  # from all detractors to all promoters
PAIRS_FOR_A_SPREAD = 2


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a score changed, in points. All None where either side has no answer."""

    change: float | None = None
    change_shown: int | None = None
    z: float | None = None
    p_two_sided: float | None = None
    diff_low: float | None = None
    diff_high: float | None = None
    significant_95: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Paired:
    """How the same people changed, in points; None where so few pairs say nothing."""

    n: int
    change: float | None = None
    z: float | None = None
    p_two_sided: float | None = None


@dataclass(frozen=True, kw_only=True)
class MixTest:
    """Whether two mixes of classes differ; degrees of freedom fall with classes nobody is in."""

    chi_square: float
    degrees: int
    p: float


class Arrow(StrEnum):
    """What a screen may draw beside a change."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


def compare(before: Counts, after: Counts) -> Comparison:
    """The change between answers of different people, tested on adjusted values.

    `change` is the plain difference; the interval is centred on the adjusted one, so that it
    leaves out 0 exactly where the test is significant.
    """
    if before.n == 0 or after.n == 0:
        return Comparison()
    plain = POINTS * (Fraction(after.net, after.n) - Fraction(before.net, before.n))
    earlier, later = adjusted(before), adjusted(after)
    difference = later.score - earlier.score
    error = sqrt(earlier.squared_error + later.squared_error)
    probability = two_sided(difference / error)
    centre, half = POINTS * difference, POINTS * Z95 * error
    return Comparison(
        change=float(plain),
        change_shown=shown(plain),
        z=difference / error,
        p_two_sided=probability,
        diff_low=clipped(centre - half, low=-WIDEST, high=WIDEST),
        diff_high=clipped(centre + half, low=-WIDEST, high=WIDEST),
        significant_95=probability < SIGNIFICANT_BELOW,
    )


def arrow(found: Comparison) -> Arrow:
    """Up or down where the change is significant; no arrow is drawn on noise."""
    if not found.significant_95 or found.z is None:
        return Arrow.NONE
    return Arrow.UP if found.z > 0 else Arrow.DOWN


def paired(rows: Iterable[tuple[AnswerClass, AnswerClass]]) -> Paired:
    """The change of people who answered before and after: mean / sqrt(s^2 / m).

    One pair has no spread, and where all changed alike there is none: z and p are None then.
    """
    steps = [STEP[after] - STEP[before] for before, after in rows]
    pairs = len(steps)
    if pairs == 0:
        return Paired(n=0)
    total = sum(steps)
    # Whole numbers as long as possible: that all changed alike must come out as exactly 0.
    squares = pairs * sum(step * step for step in steps) - total**2
    if pairs < PAIRS_FOR_A_SPREAD or squares == 0:
        return Paired(n=pairs, change=POINTS * total / pairs)
    z = total / sqrt(squares / (pairs - 1))
    return Paired(n=pairs, change=POINTS * total / pairs, z=z, p_two_sided=two_sided(z))


def mix(before: Counts, after: Counts) -> MixTest | None:
    """The chi-square test of the three shares: one score can hide opposite mixes.

    None where a side has no answer or all answers are of one class.
    """
    columns = [
        (first, second)
        for first, second in zip(_cells(before), _cells(after), strict=True)
        if first + second > 0
    ]
    degrees = len(columns) - 1
    if before.n == 0 or after.n == 0 or degrees == 0:
        return None
    total = before.n + after.n
    found = sum(
        (cell - size * sum(column) / total) ** 2 / (size * sum(column) / total)
        for column in columns
        for cell, size in zip(column, (before.n, after.n), strict=True)
    )
    return MixTest(chi_square=found, degrees=degrees, p=_beyond(found, degrees))


def _cells(counts: Counts) -> tuple[int, int, int]:
    return counts.promoter, counts.passive, counts.detractor


def _beyond(chi_square: float, degrees: int) -> float:
    """The upper tail: of one degree a normal's two, of two an exponential's."""
    return erfc(sqrt(chi_square / 2)) if degrees == 1 else exp(-chi_square / 2)
