"""A subscription here and there: whether it is worth the same, and why not."""

from typing import Any

import pytest

from services.metrics.model.objects import NO_OBJECTS
from services.metrics.model.reconciliation import Why, compared
from services.metrics.model.state import priced
from tests.unit.metrics.builders import instant, item, state

AT = instant("2026-03-01")


def states(*facts: Any) -> list[Any]:
    return [priced(fact, NO_OBJECTS) for fact in facts]


def why(ours: list[Any], theirs: list[Any]) -> list[tuple[str, Why]]:
    found = compared("acme", ours, theirs, AT)
    return [] if found is None else [(d.subscription, d.why) for d in found.subscriptions]


def test_an_account_whose_subscriptions_are_worth_the_same_does_not_differ():
    assert why(states(state("2026-01-01", "100")), states(state("2026-02-01", "100"))) == []


def test_a_subscription_that_is_worth_nothing_may_be_missing():
    assert why(states(state("2026-01-01", status="canceled")), []) == []


def test_a_state_to_come_says_nothing_yet():
    ours = states(state("2026-01-01", "100"), state("2026-04-01", "200"))

    assert why(ours, states(state("2026-01-01", "100"))) == []


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ({"mrr": "200"}, Why.PRICE),
        ({"items": [item("100", 2)]}, Why.QUANTITY),
        ({"status": "unpaid"}, Why.STATUS),
        ({"currency": "USD"}, Why.CURRENCY),
        ({"pause": {"behavior": "void"}}, Why.PAUSE),
    ],
)
def test_a_difference_has_the_plainest_reason(theirs: dict[str, Any], reason: Why):
    ours = states(state("2026-01-01", "100"))

    assert why(ours, states(state("2026-01-01", **theirs))) == [("s1", reason)]


def test_what_only_one_side_has_is_missing_on_the_other():
    ours = states(state("2026-01-01", subscription="here"))
    theirs = states(state("2026-01-01", subscription="there"))

    assert why(ours, theirs) == [("here", Why.MISSING_THERE), ("there", Why.MISSING_HERE)]
