"""When a person has to be in touch next (C8)."""

from datetime import date

import pytest

from services.cadence.model.contact_due import GAP_OF_TIER, MaxGap, days_overdue, due_on


@pytest.mark.parametrize(
    ("last", "gap", "due"),
    [
        ("2025-01-31", "P1M", "2025-02-28"),
        ("2024-01-31", "P1M", "2024-02-29"),
        ("2025-01-30", "P1M", "2025-02-28"),
        ("2025-03-31", "P1M", "2025-04-30"),
        ("2025-12-31", "P1M", "2026-01-31"),
        ("2025-11-15", "P1M", "2025-12-15"),
        ("2025-02-28", "P1M", "2025-03-28"),
        ("2025-12-28", "P7D", "2026-01-04"),
        ("2024-02-28", "P2D", "2024-03-01"),
    ],
)
def test_the_next_contact_is_due_a_gap_after_the_last(last: str, gap: str, due: str):
    assert due_on(date.fromisoformat(last), MaxGap(gap)) == date.fromisoformat(due)


@pytest.mark.parametrize(
    ("as_of", "days"), [("2025-03-09", 0), ("2025-03-10", 0), ("2025-03-11", 1), ("2025-04-10", 31)]
)
def test_it_is_overdue_from_the_day_after(as_of: str, days: int):
    assert days_overdue(date(2025, 3, 10), date.fromisoformat(as_of)) == days


def test_every_tier_has_its_promise():
    assert {tier: gap.value for tier, gap in GAP_OF_TIER.items()} == {
        "standard": "P1M",
        "important": "P7D",
        "most_important": "P2D",
    }
