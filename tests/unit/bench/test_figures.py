"""What is claimed of several rounds."""

import pytest

from bench.figures import Comparison, Measure, Spread


def measure(rate: int) -> Measure:
    return Measure(events=1000 * rate, cpu_seconds=1000.0, wall_seconds=4000.0)


def test_rate_is_events_per_second_of_the_processor_not_of_the_wall():
    measured = Measure(events=300, cpu_seconds=2.0, wall_seconds=60.0)

    assert measured.rate == 150


def test_ratio_is_taken_within_a_round_and_then_the_median():
    # The machine was half as fast in the second round, and disturbed one form in the third.
    rounds = [
        {"plain": measure(10), "ours": measure(100)},
        {"plain": measure(5), "ours": measure(50)},
        {"plain": measure(10), "ours": measure(30)},
    ]

    comparison = Comparison(title="case", rounds=rounds)

    assert comparison.ratio("ours") == Spread(median=10, low=3, high=10)
    assert comparison.rate("ours") == Spread(median=50, low=30, high=100)


def test_first_form_is_the_baseline():
    comparison = Comparison(title="case", rounds=[{"plain": measure(7), "ours": measure(70)}])

    assert comparison.ratio("plain").median == pytest.approx(1)
    assert comparison.wall_rate("ours").median == pytest.approx(17.5)
