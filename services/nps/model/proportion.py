"""A share of a small number of people, with Wilson's interval."""

from dataclasses import dataclass
from math import sqrt

from services.nps.model.intervals import Z95, Interval


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """x of n with its 95 % interval; all None of nobody."""

    proportion: float | None = None
    interval: Interval | None = None


def wilson(x: int, n: int) -> Proportion:
    """The share of x among n people. Raises ValueError unless 0 <= x <= n."""
    if not 0 <= x <= n:
        raise ValueError(f"{x} of {n}")
    if n == 0:
        return Proportion()
    share, square = x / n, Z95**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return Proportion(
        proportion=share,
        # Exactly 0 and 1 at the ends, where the difference of two floats may miss them.
        interval=Interval(
            0.0 if x == 0 else max(0.0, centre - half), 1.0 if x == n else min(1.0, centre + half)
        ),
    )
