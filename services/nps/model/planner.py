"""How many answers a margin needs, and which margin so many answers give."""

from math import ceil, sqrt

from services.nps.model.intervals import Z95
from services.nps.model.statistics import POINTS, PSEUDO_N

FEWEST = 1  # no answer gives no score, however wide the margin may be


def sample_size(*, variance: float, moe_points: float) -> int:
    """Answers for a 95 % margin of so many points: z^2 v / moe^2 - 3, rounded up, at least one.

    Raises ValueError unless the variance is 0 to 1 and the margin above 0.
    """
    if not 0 <= variance <= 1:
        raise ValueError(f"variance {variance} is not from 0 to 1")
    if not moe_points > 0:
        raise ValueError(f"a margin of {moe_points} points is none")
    return max(FEWEST, ceil(variance * (Z95 * POINTS / moe_points) ** 2 - PSEUDO_N))


def margin(*, variance: float, n: int) -> float:
    """The 95 % margin in points that n answers give."""
    return POINTS * Z95 * sqrt(variance / (n + PSEUDO_N))
