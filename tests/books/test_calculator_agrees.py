"""The service's books against an independent calculator, over random histories."""

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.books.calculator import Calculator, months_from_to
from tests.books.histories import MONTHS, History, history, known_since, seeded
from tests.books.ledger import Ledger

FIRST, LAST = MONTHS[0], "2025-09"  # histories end before, so the last months are quiet ones
SEEDS, SEEDS_OF_THE_LONG_RUN = range(1_000), range(1_000, 40_000)
SHRINKING = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def assert_same_reports(of: History, known_at: datetime | None = None) -> None:
    ours = Ledger(of.facts, known_at=known_at, **of.settings)
    theirs = Calculator(of.facts, known_at=known_at, **of.settings)

    assert sorted(ours.conflicts) == sorted(theirs.conflicts)
    assert ours.duplicates == theirs.duplicates
    months = {month: theirs.month(month) for month in months_from_to(FIRST, LAST)}
    assert ours.months(FIRST, LAST) == months
    assert ours.movements(FIRST, LAST) == theirs.movements(FIRST, LAST)
    assert ours.window("2025-02", "2025-05") == theirs.window("2025-02", "2025-05")
    assert ours.cohorts(FIRST, LAST) == theirs.cohorts(FIRST, LAST)


def assert_same_point(of: History, at: datetime) -> None:
    ours = Ledger(of.facts, known_at=at, **of.settings)
    theirs = Calculator(of.facts, known_at=at, **of.settings)

    assert ours.point(at) == theirs.point(at)


def assert_same_books(seed: int) -> None:
    of, known_at = seeded(seed)
    try:
        assert_same_reports(of)
        assert_same_reports(of, known_at)
        for later in (0, 1, 30):
            assert_same_point(of, known_at + timedelta(days=later))
    except BaseException as error:
        error.add_note(f"history of seed {seed}")
        raise


def test_thousands_of_histories_give_the_reports_of_the_calculator():
    for seed in SEEDS:
        assert_same_books(seed)


@pytest.mark.slow
def test_tens_of_thousands_of_histories_give_the_reports_of_the_calculator():
    for seed in SEEDS_OF_THE_LONG_RUN:
        assert_same_books(seed)


@SHRINKING
@given(random=st.randoms())
def test_a_history_that_disagrees_is_made_small(random: Random):
    of = history(random)

    assert_same_reports(of)
    assert_same_reports(of, known_since(random, of))
