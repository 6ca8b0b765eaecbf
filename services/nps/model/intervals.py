"""What all intervals and tests share: the normal quantile, two-sided probabilities, rounding."""

from dataclasses import dataclass
from fractions import Fraction
from math import erfc, sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
Z95 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # 1.95996...
SIGNIFICANT_BELOW = 0.05


@dataclass(frozen=True)
class Interval:
    """From low to high, both included."""

    low: float
    high: float


def two_sided(z: float) -> float:
    """The probability of a z at least as far from 0, either way.

    From erfc, which keeps its digits where one minus a distribution function has none left.
    """
    return erfc(abs(z) / sqrt(2))


def shown(points: Fraction) -> int:
    """Points as a whole number, halves away from zero: 12.5 is 13, -12.5 is -13."""
    whole = (2 * abs(points.numerator) + points.denominator) // (2 * points.denominator)
    return whole if points >= 0 else -whole


def clipped(value: float, *, low: float, high: float) -> float:
    """The value, or the bound that it lies beyond."""
    return min(max(value, low), high)
