"""The worked examples of the revenue contract and of the articles, to the last digit."""

from fractions import Fraction

import pytest

from services.metrics.model.effects import (
    NDR_TARGET,
    customer_lifetime_value,
    effect_of_a_point,
    projected,
)
from services.metrics.model.months import ltv, net_retention, simple_change
from services.metrics.model.movements import Kind
from tests.unit.metrics.builders import report, state


def test_j28_ndr_of_100_with_30_more_5_less_and_5_lost_is_120_percent():
    facts = [
        state("2025-12-01", "90", account="grows"),
        state("2025-12-01", "5", account="leaves"),
        state("2025-12-01", "5", account="shrinks"),
        state("2025-12-01", "0", account="trickles"),
        state("2026-01-10", "120", account="grows"),
        state("2026-01-10", account="leaves", status="canceled"),
        state("2026-01-10", "0", account="shrinks"),
    ]

    january = report("2026-01", *facts)

    assert january.ndr == Fraction(120, 100)
    moved = {Kind.EXPANSION: Fraction(30), Kind.CONTRACTION: Fraction(-5), Kind.CHURN: Fraction(-5)}
    assert net_retention(Fraction(100), moved) == Fraction(120, 100)


def test_j28_new_customers_are_outside_ndr():
    moved = {Kind.NEW: Fraction(1000), Kind.REACTIVATION: Fraction(500)}

    assert net_retention(Fraction(100), moved) == 1


def test_j29_the_target_is_120_percent():
    assert Fraction(120, 100) == NDR_TARGET


def test_n4_1000_customers_that_become_900_are_10_percent_less():
    assert simple_change(1000, 900) == Fraction(10, 100)


def test_n5_275000_that_become_305000_are_six_fifty_fifths_more():
    change = simple_change(Fraction(275_000), Fraction(305_000))

    assert change == Fraction(-6, 55)
    assert f"{float(change):.0%}" == "-11%"


def test_n11_a_customers_value_and_the_bases_are_two_formulas():
    of_one = customer_lifetime_value(Fraction(100), Fraction(8, 10), Fraction(24))
    of_all = ltv(Fraction(100), Fraction(8, 10), Fraction(2, 100))

    assert of_one == 1920
    assert of_all == 4000
    assert customer_lifetime_value(Fraction(100), None, Fraction(24)) is None


def test_j1_a_point_of_retention_is_worth_its_part_of_mrr_each_month():
    effect = effect_of_a_point(Fraction(1000), Fraction(98, 100), Fraction(0))

    assert effect is not None
    assert effect.next_month == 10
    assert effect.in_a_year == 1000 * (Fraction(99, 100) ** 12 - Fraction(98, 100) ** 12)


def test_j1_without_a_base_there_is_no_effect_to_tell():
    assert effect_of_a_point(Fraction(0), None, Fraction(10)) is None


@pytest.mark.parametrize(("months", "mrr"), [(0, 1000), (1, 990), (2, 981)])
def test_j1_each_month_keeps_its_part_and_adds_what_is_new(months: int, mrr: int):
    assert projected(Fraction(1000), Fraction(9, 10), Fraction(90), months) == mrr
