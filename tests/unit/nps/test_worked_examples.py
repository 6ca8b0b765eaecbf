"""The numeric anchors of the specification, to their last digit."""

from datetime import UTC, datetime

import pytest

from services.nps.model.classes import Counts
from services.nps.model.comparison import compare, mix
from services.nps.model.eligibility import eligible_from
from services.nps.model.planner import margin, sample_size
from services.nps.model.proportion import wilson
from services.nps.model.statistics import interval, score, summary
from shared.zones import packaged


def of(promoter: int, passive: int, detractor: int) -> Counts:
    return Counts(promoter=promoter, passive=passive, detractor=detractor)


def test_50_30_20():
    found = summary(of(50, 30, 20))

    assert found.nps == 30
    assert found.variance == 0.61
    assert found.moe95_wald is not None
    assert round(found.moe95_wald, 2) == 15.31
    assert found.ci95_adjusted_wald is not None
    assert round(found.ci95_adjusted_wald.low, 2) == 14.05
    assert round(found.ci95_adjusted_wald.high, 2) == 44.20
    assert not found.too_few


@pytest.mark.parametrize(
    ("counts", "nps", "low", "high"),
    [(of(9, 6, 5), 20, -15.40, 50.18), (of(10, 0, 0), 100, 47.50, 100)],
)
def test_intervals(counts: Counts, nps: int, low: float, high: float):
    found = interval(counts)

    assert score(counts) == nps
    assert (round(found.low, 2), round(found.high, 2)) == (low, high)


def test_a_change_that_is_one():
    found = compare(of(40, 40, 20), of(70, 20, 10))

    assert found.change == 40
    assert found.z is not None
    assert round(found.z, 3) == 3.919
    assert found.p_two_sided is not None
    assert round(found.p_two_sided, 6) == 0.000089
    assert found.significant_95


def test_a_change_that_is_noise():
    found = compare(of(18, 14, 8), of(20, 13, 7))

    assert found.change == 7.5
    assert found.change_shown == 8
    assert found.p_two_sided is not None
    assert round(found.p_two_sided, 2) == 0.67
    assert not found.significant_95


def test_one_score_can_hide_opposite_mixes():
    before, after = of(20, 60, 20), of(45, 10, 45)

    found = mix(before, after)

    assert compare(before, after).change == 0
    assert found is not None
    assert found.degrees == 2
    assert found.p < 0.001


@pytest.mark.parametrize(
    ("variance", "moe", "n"),
    [(1, 10, 382), (0.7, 10, 266), (0.61, 10, 232), (1, 20, 94), (0.7, 20, 65), (0.61, 20, 56)],
)
def test_sample_sizes(variance: float, moe: float, n: int):
    assert sample_size(variance=variance, moe_points=moe) == n


def test_40_answers_give_about_23_points():
    assert round(margin(variance=0.61, n=40)) == 23


def test_conversion_of_4_in_6():
    found = wilson(4, 6)

    assert found.interval is not None
    assert (round(found.interval.low, 3), round(found.interval.high, 3)) == (0.300, 0.903)


@pytest.mark.parametrize(
    ("counts", "shown"), [(of(5, 6, 1), 33), (of(2, 5, 1), 13), (of(1, 5, 2), -13)]
)
def test_a_score_is_shown_as_a_whole_number_halves_away_from_zero(counts: Counts, shown: int):
    assert summary(counts).nps_shown == shown


@pytest.mark.parametrize(
    ("signed_up_at", "zone", "expected"),
    [
        (
            datetime(2025, 1, 10, 0, 30, tzinfo=UTC),
            "Asia/Seoul",
            datetime(2025, 2, 24, 0, 30, tzinfo=UTC),
        ),
        (
            datetime(2025, 2, 10, 14, 0, tzinfo=UTC),
            "America/New_York",
            datetime(2025, 3, 27, 13, 0, tzinfo=UTC),
        ),
    ],
)
def test_first_day_of_asking(signed_up_at: datetime, zone: str, expected: datetime):
    assert eligible_from(signed_up_at, packaged().zone(zone)) == expected
