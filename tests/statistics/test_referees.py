"""Two referees of the statistics: scipy and statsmodels, over many random counts and the edges.

What is compared is reckoned here anew, from one value a person rather than from counts.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from services.nps.model.classes import AnswerClass, Counts
from services.nps.model.comparison import compare, mix, paired
from services.nps.model.proportion import wilson
from services.nps.model.statistics import holm, interval, summary

EDGES = [
    Counts(),
    Counts(promoter=1),
    Counts(passive=1),
    Counts(detractor=1),
    Counts(promoter=1000),
    Counts(passive=1000),
    Counts(detractor=1000),
    Counts(promoter=1, detractor=1),
]
PSEUDO = ((1, 0.75), (0, 1.5), (-1, 0.75))


def near(value: Any, *, rel: float = 1e-9, abs: float = 1e-9) -> Any:  # noqa: A002
    return pytest.approx(value, rel=rel, abs=abs)


def random_counts(seed: int, times: int) -> Iterator[Counts]:
    yield from EDGES
    chance = Random(seed)
    for _ in range(times):
        most = 10 ** chance.randint(0, 4)
        yield Counts(
            promoter=chance.randint(0, most),
            passive=chance.randint(0, most),
            detractor=chance.randint(0, most),
        )


def values(counts: Counts) -> np.ndarray:
    return np.repeat([1, 0, -1], [counts.promoter, counts.passive, counts.detractor])


def adjusted(counts: Counts) -> tuple[float, float]:
    """Mean, and squared error, of the answers with the pseudo-answers as weights."""
    cells = zip((counts.promoter, counts.passive, counts.detractor), PSEUDO, strict=True)
    weights = np.array([cell + more for cell, (_, more) in cells])
    scale = np.array([value for value, _ in PSEUDO])
    mean = np.average(scale, weights=weights)
    spread = np.average((scale - mean) ** 2, weights=weights)
    return float(mean), float(spread / weights.sum())


@pytest.mark.parametrize("seed", range(3))
def test_scores_and_their_errors(seed: int):
    for counts in random_counts(seed, 300):
        found = summary(counts)
        if counts.n == 0:
            assert found.nps is None
            continue
        each = values(counts)
        assert found.nps == near(100 * each.mean())
        assert found.variance == near(each.var())
        assert found.se_wald == near(100 * each.std() / np.sqrt(len(each)))


@pytest.mark.parametrize("seed", range(3))
def test_adjusted_intervals(seed: int):
    for counts in random_counts(seed, 500):
        mean, squared_error = adjusted(counts)
        low, high = stats.norm.interval(0.95, loc=100 * mean, scale=100 * squared_error**0.5)

        found = interval(counts)

        assert found.low == near(max(-100, low))
        assert found.high == near(min(100, high))
        assert found.low < found.high


@pytest.mark.parametrize("seed", range(3))
def test_changes_between_different_people(seed: int):
    for before, after in zip(random_counts(seed, 500), random_counts(seed + 9, 500), strict=True):
        found = compare(before, after)
        if before.n == 0 or after.n == 0:
            assert found.p_two_sided is None
            continue
        (old, old_error), (new, new_error) = adjusted(before), adjusted(after)
        z = (new - old) / (old_error + new_error) ** 0.5

        assert found.z == near(z)
        assert found.p_two_sided == near(2 * stats.norm.sf(abs(z)), rel=1e-6, abs=1e-300)
        assert found.diff_low is not None
        assert found.diff_high is not None
        assert found.significant_95 == (not found.diff_low <= 0 <= found.diff_high)


def test_mixes():
    tested = 0
    for before, after in zip(random_counts(1, 800), random_counts(2, 800), strict=True):
        table = np.array(
            [[each.promoter, each.passive, each.detractor] for each in (before, after)]
        )
        table = table[:, table.sum(axis=0) > 0]
        found = mix(before, after)
        if before.n == 0 or after.n == 0 or table.shape[1] == 1:
            assert found is None
            continue
        expected = stats.chi2_contingency(table, correction=False)

        assert found is not None
        assert found.degrees == expected.dof
        assert found.chi_square == near(expected.statistic)
        assert found.p == near(expected.pvalue, rel=1e-6, abs=1e-300)
        tested += 1
    assert tested > 700


def test_the_same_people_twice():
    chance, classes = Random(3), list(AnswerClass)
    step = {AnswerClass.PROMOTER: 1, AnswerClass.PASSIVE: 0, AnswerClass.DETRACTOR: -1}
    for _ in range(1000):
        rows = [
            (chance.choice(classes), chance.choice(classes)) for _ in range(chance.randint(0, 60))
        ]
        changes = np.array([step[after] - step[before] for before, after in rows])

        found = paired(rows)

        assert found.n == len(rows)
        if len(rows) < 2 or np.ptp(changes) == 0:
            assert found.z is None
            continue
        expected = stats.ttest_1samp(changes, 0).statistic  # its t is our z
        assert found.change == near(100 * changes.mean())
        assert found.z == near(expected)
        assert found.p_two_sided == near(2 * stats.norm.sf(abs(expected)), abs=1e-300)


def test_wilson():
    for n in [1, 2, 3, 7, 30, 999]:
        for x in range(n + 1):
            low, high = proportion_confint(x, n, method="wilson")
            found = wilson(x, n).interval

            assert found is not None
            assert (found.low, found.high) == near((low, high), rel=1e-9, abs=1e-12)


def test_holm():
    chance = Random(4)
    for _ in range(15):  # the referee takes 50 ms a time
        looks = [chance.random() ** 3 for _ in range(chance.randint(1, 12))]

        assert holm(looks) == near(list(multipletests(looks, method="holm")[1]))


@pytest.mark.parametrize(
    ("mix_of", "n", "percent"),
    [
        # 96.247: the 96.3 that is in print was rounded twice.
        ((0.50, 0.30, 0.20), 10, 96.2),
        ((0.50, 0.30, 0.20), 30, 94.6),
        ((0.85, 0.13, 0.02), 5, 83.5),
        ((0.85, 0.13, 0.02), 10, 94.4),
        ((0.85, 0.13, 0.02), 20, 95.2),
        ((0.85, 0.13, 0.02), 50, 96.0),
    ],
)
def test_exact_coverage_of_the_interval(mix_of: tuple[float, float, float], n: int, percent: float):
    """Every outcome of n answers, by its probability."""
    true_score = 100 * (mix_of[0] - mix_of[2])
    covered = 0.0
    for promoter in range(n + 1):
        for passive in range(n + 1 - promoter):
            counts = Counts(promoter=promoter, passive=passive, detractor=n - promoter - passive)
            found = interval(counts)
            if found.low <= true_score <= found.high:
                cells = [promoter, passive, counts.detractor]
                covered += float(stats.multinomial.pmf(cells, n, mix_of))

    assert round(100 * covered, 1) == percent
