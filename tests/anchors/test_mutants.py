"""The second opinion has teeth: each rule that is turned wrong is seen in some life."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from services.cadence.model import occurrences
from services.cadence.model.occurrences import Skip, refusal
from services.cadence.model.zones import Resolved, resolved
from tests.anchors.compare import FIRST, agree
from tests.anchors.live import Life

# Sunday 02:30 in New York: the clock is set forward in the second week and back much later.
GAP = Life(signed_up_at=datetime(2025, 2, 23, 7, 30, tzinfo=UTC), zone="America/New_York")
MOVED_WEST = Life(
    signed_up_at=datetime(2025, 3, 3, 0, 0, tzinfo=UTC),
    zone="Asia/Seoul",
    moves=[(datetime(2025, 3, 17, 1, 0, tzinfo=UTC), "moved", "America/Los_Angeles")],
)
MOVED_EAST = Life(
    signed_up_at=datetime(2025, 3, 3, 16, 0, tzinfo=UTC),
    zone="America/Los_Angeles",
    moves=[(datetime(2025, 3, 17, 1, 0, tzinfo=UTC), "moved", "Asia/Seoul")],
)
DUE = datetime(2025, 3, 10, 0, 0, tzinfo=UTC)
DOWN = replace(MOVED_WEST, moves=(), outages=[(DUE, DUE + timedelta(hours=6))])
LONG_DOWN = replace(DOWN, grace=timedelta(days=30), outages=[(DUE, DUE + timedelta(days=9))])
CHURNED = replace(
    DOWN,
    churned_at=DUE + timedelta(hours=1),
    reactivated_at=DUE + timedelta(hours=2),
)
QUIET = replace(
    MOVED_WEST,
    moves=(),
    signed_up_at=datetime(2025, 3, 3, 14, 0, tzinfo=UTC),
    quiet=(time(22), time(7)),
)
LIVES = (GAP, MOVED_WEST, MOVED_EAST, DOWN, LONG_DOWN, CHURNED, QUIET)


def earlier_in_a_gap(local: datetime, zone: Any) -> Resolved:
    return Resolved(local.replace(tzinfo=zone, fold=1).astimezone(UTC), None)


def by_168_hours(local: datetime, zone: Any) -> Resolved:
    found = resolved(local, zone)
    winter = zone.utcoffset(FIRST.replace(tzinfo=None))
    return Resolved((local - winter).replace(tzinfo=UTC), found.oddity)


def never_quiet(instant: datetime, *_: object) -> datetime:
    return instant


def grace_not_included(*, due_at: datetime, send_at: datetime, standing: Any, grace: Any) -> Any:
    if send_at - due_at == grace:
        return Skip.MISSED_BEYOND_GRACE
    return refusal(due_at=due_at, send_at=send_at, standing=standing, grace=grace)


def churn_forgotten_after_return(*, standing: Any, **asked: Any) -> Any:
    found = refusal(standing=standing, **asked)
    return None if found is Skip.CHURNED and asked["send_at"] not in standing.churned else found


def every_one_goes(_: object, found: Any) -> Any:
    return list(found)


@pytest.mark.parametrize("life", LIVES)
def test_the_rules_as_they_are_agree(life: Life):
    agree(life)


@pytest.mark.parametrize(
    ("rule", "mutant", "life"),
    [
        ("resolved", earlier_in_a_gap, GAP),
        ("resolved", by_168_hours, GAP),
        ("after_quiet", never_quiet, QUIET),
        ("refusal", grace_not_included, DOWN),
        ("refusal", churn_forgotten_after_return, CHURNED),
        ("_newest_only", every_one_goes, LONG_DOWN),
    ],
)
def test_a_rule_turned_wrong_is_seen(
    monkeypatch: pytest.MonkeyPatch, rule: str, mutant: Callable[..., Any], life: Life
):
    monkeypatch.setattr(occurrences, rule, mutant)

    with pytest.raises(AssertionError):
        agree(life)


def test_a_spacing_that_is_too_small_is_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.anchors.compare.SPACING", timedelta(0))

    with pytest.raises(AssertionError):
        agree(MOVED_WEST)
