"""The service's books against an independent calculator, over random histories."""

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.books.calculator import Calculator, months_from_to
from tests.books.histories import MONTHS, histories
from tests.books.ledger import Ledger

FIRST, LAST = MONTHS[0], "2025-09"  # histories end before, so the last months are quiet ones
FEW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
MANY = settings(FEW, max_examples=4000)


def assert_same_reports(history, known_at=None):
    ours = Ledger(history.facts, known_at=known_at, **history.settings)
    theirs = Calculator(history.facts, known_at=known_at, **history.settings)

    assert sorted(ours.conflicts) == sorted(theirs.conflicts)
    assert ours.duplicates == theirs.duplicates
    months = {month: theirs.month(month) for month in months_from_to(FIRST, LAST)}
    assert ours.months(FIRST, LAST) == months
    assert ours.movements(FIRST, LAST) == theirs.movements(FIRST, LAST)
    assert ours.window("2025-02", "2025-05") == theirs.window("2025-02", "2025-05")
    assert ours.cohorts(FIRST, LAST) == theirs.cohorts(FIRST, LAST)


def instants_known(history):
    """A time of knowledge in the midst of the history."""
    return st.sampled_from(sorted({fact["recorded_at"] for fact in history.facts})).map(
        datetime.fromisoformat
    )


@FEW
@given(history=histories())
def test_every_report_of_a_random_history_is_the_one_of_the_calculator(history):
    assert_same_reports(history)


@FEW
@given(history=histories(), drawn=st.data())
def test_every_report_as_of_an_earlier_knowledge_is_the_one_of_the_calculator(history, drawn):
    assert_same_reports(history, known_at=drawn.draw(instants_known(history)))


@FEW
@given(history=histories(), drawn=st.data(), later=st.sampled_from((0, 1, 30)))
def test_a_point_knows_only_what_was_recorded_by_then(history, drawn, later):
    at = drawn.draw(instants_known(history)) + timedelta(days=later)

    ours = Ledger(history.facts, known_at=at, **history.settings).point(at)

    assert ours == Calculator(history.facts, known_at=at, **history.settings).point(at)


@pytest.mark.slow
@MANY
@given(history=histories(), drawn=st.data())
def test_thousands_of_random_histories_agree(history, drawn):
    assert_same_reports(history)
    assert_same_reports(history, known_at=drawn.draw(instants_known(history)))
