"""What came of messages: rates with intervals, and whether two of them differ (J12).

Opens are a range: by people for sure, and by anybody or anything. Clicks are people's alone (2.14).
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

NORMAL = NormalDist()
CONFIDENCE = 0.95
Z = NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
SIGNIFICANT = 1 - CONFIDENCE
TEST = "two-proportion z test, pooled, two-sided; interval of the difference after Newcombe"
# Below this many expected yes or no in either group the test's normal curve is a bad likeness.
LEAST_EXPECTED = 5


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Messages counted. Everything but `sent` counts messages, not hits: the second open of one
    message is none more.
    """

    sent: int = 0
    delivered: int = 0
    opens_human: int = 0
    opens_all: int = 0
    clicks: int = 0
    unsubscribes: int = 0


class Rate(NamedTuple):
    """`x` of `n`, with Wilson's 95 % interval. All but the counts are None of nothing."""

    x: int
    n: int
    rate: float | None
    low: float | None
    high: float | None


class Rates(NamedTuple):
    """Rates of a tally: deliveries of the sent, the rest of the delivered."""

    delivered: Rate
    opens_human: Rate
    opens_all: Rate
    clicks: Rate
    unsubscribes: Rate


class Difference(NamedTuple):
    """The second rate less the first. `p` is two-sided; None where the counts allow no test."""

    difference: float | None
    low: float | None
    high: float | None
    z: float | None
    p: float | None
    significant: bool
    test: str = TEST


def added(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    columns = zip(*(astuple(each) for each in (Tally(), *tallies)), strict=True)
    sent, delivered, opens_human, opens_all, clicks, unsubscribes = map(sum, columns)
    return Tally(
        sent=sent,
        delivered=delivered,
        opens_human=opens_human,
        opens_all=opens_all,
        clicks=clicks,
        unsubscribes=unsubscribes,
    )


def rates_of(tally: Tally) -> Rates:
    """The rates of what was counted."""
    return Rates(
        delivered=rate_of(tally.delivered, tally.sent),
        opens_human=rate_of(tally.opens_human, tally.delivered),
        opens_all=rate_of(tally.opens_all, tally.delivered),
        clicks=rate_of(tally.clicks, tally.delivered),
        unsubscribes=rate_of(tally.unsubscribes, tally.delivered),
    )


def rate_of(x: int, n: int) -> Rate:
    """`x` of `n` with Wilson's interval. Raises ValueError where `x` is not from 0 to `n`."""
    if not 0 <= x <= n:
        raise ValueError(f"{x} of {n} is no rate")
    if n == 0:
        return Rate(x, n, None, None, None)
    share = x / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    # At the ends the interval is closed by arithmetic, not by rounding.
    low = 0.0 if x == 0 else centre - half
    return Rate(x, n, share, low, 1.0 if x == n else centre + half)


def difference(first: Rate, second: Rate) -> Difference:
    """Whether the second rate is another than the first: `TEST` says how it is asked.

    A difference is called significant only where p is below 0.05 and every expected count is at
    least 5.
    """
    if first.rate is None or second.rate is None:
        return Difference(None, None, None, None, None, significant=False)
    low, high = _newcombe(first, second)
    z = _z(first, second)
    p = None if z is None else 2 * (1 - NORMAL.cdf(abs(z)))
    return Difference(
        second.rate - first.rate,
        low,
        high,
        z,
        p,
        significant=p is not None and p < SIGNIFICANT and _is_enough(first, second),
    )


def _z(first: Rate, second: Rate) -> float | None:
    assert first.rate is not None
    assert second.rate is not None
    pooled = (first.x + second.x) / (first.n + second.n)
    variance = pooled * (1 - pooled) * (1 / first.n + 1 / second.n)
    return None if variance == 0 else (second.rate - first.rate) / sqrt(variance)


def _is_enough(first: Rate, second: Rate) -> bool:
    pooled = (first.x + second.x) / (first.n + second.n)
    return min(first.n, second.n) * min(pooled, 1 - pooled) >= LEAST_EXPECTED


def _newcombe(first: Rate, second: Rate) -> tuple[float, float]:
    """Interval of the difference from the two Wilson intervals (Newcombe 1998, method 10)."""
    assert first.rate is not None
    assert first.low is not None
    assert first.high is not None
    assert second.rate is not None
    assert second.low is not None
    assert second.high is not None
    between = second.rate - first.rate
    down = sqrt((second.rate - second.low) ** 2 + (first.high - first.rate) ** 2)
    up = sqrt((second.high - second.rate) ** 2 + (first.rate - first.low) ** 2)
    return between - down, between + up
