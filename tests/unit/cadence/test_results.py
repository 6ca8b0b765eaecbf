"""Rates with intervals, and the test of a difference, beside statsmodels as the referee."""

import pytest
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    proportions_ztest,
)

from services.cadence.model.results import Tally, added, difference, rate_of, rates_of


@pytest.mark.parametrize(("x", "n"), [(0, 10), (10, 10), (3, 10), (170, 1000), (1, 1)])
def test_an_interval_is_wilsons(x: int, n: int):
    rate = rate_of(x, n)

    low, high = proportion_confint(x, n, method="wilson")

    assert rate.rate == x / n
    assert rate.low == pytest.approx(low, abs=1e-12)
    assert rate.high == pytest.approx(high)


@pytest.mark.parametrize(
    ("first", "second"), [((30, 200), (50, 210)), ((0, 50), (9, 50)), ((5, 10), (5, 10))]
)
def test_a_difference_is_tested_as_stated(first: tuple[int, int], second: tuple[int, int]):
    found = difference(rate_of(*first), rate_of(*second))

    z, p = proportions_ztest([second[0], first[0]], [second[1], first[1]])
    low, high = confint_proportions_2indep(*second, *first, method="newcomb")
    assert found.z == pytest.approx(z)
    assert found.p == pytest.approx(p)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)


def test_a_difference_of_few_is_never_called_significant():
    few = difference(rate_of(0, 6), rate_of(6, 6))
    many = difference(rate_of(0, 60), rate_of(60, 60))

    assert few.p is not None
    assert few.p < 0.05
    assert not few.significant
    assert many.significant


@pytest.mark.parametrize("x", [0, 20])
def test_what_is_the_same_of_all_allows_no_test(x: int):
    found = difference(rate_of(x, 20), rate_of(x, 20))

    assert (found.difference, found.z, found.p, found.significant) == (0, None, None, False)


def test_a_rate_of_nothing_is_unknown():
    assert rate_of(0, 0) == (0, 0, None, None, None)
    assert difference(rate_of(0, 0), rate_of(1, 2)).difference is None


@pytest.mark.parametrize(("x", "n"), [(-1, 3), (4, 3)])
def test_more_than_all_is_no_rate(x: int, n: int):
    with pytest.raises(ValueError, match="no rate"):
        rate_of(x, n)


def test_opens_are_a_range_and_clicks_are_peoples():
    tally = Tally(sent=110, delivered=100, opens_human=20, opens_all=60, clicks=7, unsubscribes=1)

    rates = rates_of(tally)

    assert (rates.opens_human.rate, rates.opens_all.rate) == (0.2, 0.6)
    assert (rates.clicks.n, rates.delivered.n) == (100, 110)


def test_tallies_add_up():
    one = Tally(sent=3, delivered=2, opens_human=1, opens_all=2, clicks=1, unsubscribes=0)

    assert added([one, one]) == Tally(
        sent=6, delivered=4, opens_human=2, opens_all=4, clicks=2, unsubscribes=0
    )
    assert added([]) == Tally()
