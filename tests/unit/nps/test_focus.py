"""The follow-up queue: what the team works on now comes first."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.nps.model.focus import Focus, FollowUp, queue

EARLY, LATE = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def person(
    user: str, score: int, *, mrr: int | None = None, answered_at: datetime = EARLY
) -> FollowUp:
    return FollowUp(
        user=user,
        score=score,
        mrr=None if mrr is None else Decimal(mrr),
        answered_at=answered_at,
    )


@pytest.mark.parametrize(
    ("focus", "expected"),
    [
        ("promoters", ["promoter", "passive", "detractor"]),
        ("passives_to_promoters", ["passive", "detractor", "promoter"]),
        ("detractors", ["detractor", "passive", "promoter"]),
    ],
)
def test_the_focus_orders_the_classes(focus: str, expected: list[str]):
    waiting = [person("detractor", 6), person("passive", 7), person("promoter", 9)]

    assert [each.user for each in queue(waiting, Focus(focus))] == expected


def test_within_a_class_the_nearest_to_the_next_then_the_dearest_then_the_longest_waiting():
    waiting = [
        person("unknown", 8),
        person("far", 7, mrr=900),
        person("late", 8, mrr=100, answered_at=LATE),
        person("early", 8, mrr=100),
        person("dear", 8, mrr=200, answered_at=LATE),
        person("nothing", 8, mrr=0),
    ]

    found = [each.user for each in queue(waiting, Focus.PASSIVES_TO_PROMOTERS)]

    assert found == ["dear", "early", "late", "nothing", "unknown", "far"]
