"""Schedules of the billing system in committed MRR: once all of them have run (P23)."""

from typing import Any

import pytest

from services.metrics.model.books import priced_states
from services.metrics.model.objects import objects_of
from services.metrics.model.schedules import Scheduled, schedule_in, scheduled
from shared.events.billing import AnyFact, ProviderObject
from tests.unit.metrics.builders import fact, instant, state

AT = instant("2026-02-01")
START = int(instant("2026-06-01").timestamp())


def price(name: str, amount: int | None, **fields: Any) -> dict[str, Any]:
    """A price by the month, as a webhook brings it."""
    return {
        "id": name,
        "object": "price",
        "currency": "krw",
        "billing_scheme": "per_unit",
        "unit_amount": amount,
        "unit_amount_decimal": None if amount is None else str(amount),
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        **fields,
    }


PRICES = (price("p_50", 50), price("p_year", 1200, recurring={"interval": "year"}))
COUPONS = (
    {"id": "co_half", "object": "coupon", "duration": "forever", "percent_off": 50.0},
    {"id": "co_once", "object": "coupon", "duration": "once", "percent_off": 50.0},
)


def schedule(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A schedule of acme whose last phase has these items."""
    phase = {"start_date": START, "items": list(items), "currency": "krw", "discounts": []}
    return {
        "id": "sub_sched_1",
        "object": "subscription_schedule",
        "customer": "acme",
        "status": "active",
        "subscription": "s1",
        "end_behavior": "release",
        "phases": [{"start_date": 0, "items": []}, phase | fields.pop("phase", {})],
        **fields,
    }


def run(content: dict[str, Any], *states: AnyFact) -> Scheduled:
    """What the schedule makes of acme's committed MRR."""
    told = [
        fact("provider_object", object_id=each["id"], object=each, effective_at="2026-01-01")
        for each in (*PRICES, *COUPONS)
    ]
    objects = objects_of(each for each in told if isinstance(each, ProviderObject))
    found = schedule_in(content)
    return scheduled(
        priced_states(states).get("acme", []), [] if found is None else [found], objects, AT
    )


def change(content: dict[str, Any], *states: AnyFact) -> dict[str, Any]:
    """The change alone; everything is known."""
    found = run(content, *states)
    assert found.unresolved == ()
    return dict(found.change)


def test_the_last_phase_is_what_the_subscription_will_be_worth():
    subscribed = state("2026-01-10", "100", subscription="s1")
    other = state("2026-01-10", "7", subscription="s2")

    assert change(schedule({"price": "p_50", "quantity": 3}), subscribed, other) == {"KRW": 50}


def test_a_price_by_the_year_counts_by_the_month():
    assert change(schedule({"price": "p_year", "quantity": 1})) == {"KRW": 100}


def test_a_schedule_that_cancels_ends_the_subscription():
    subscribed = state("2026-01-10", "100", subscription="s1")

    assert change(schedule(end_behavior="cancel"), subscribed) == {"KRW": -100}


def test_a_schedule_that_has_not_started_adds_a_subscription_to_come():
    to_come = schedule({"price": "p_50", "quantity": 1}, status="not_started", subscription=None)

    assert change(to_come, state("2026-01-10", "100", subscription="s1")) == {"KRW": 50}


@pytest.mark.parametrize("status", ["released", "canceled", "completed"])
def test_a_schedule_that_is_over_changes_nothing(status: str):
    subscribed = state("2026-01-10", "100", subscription="s1")

    assert change(schedule({"price": "p_50", "quantity": 9}, status=status), subscribed) == {}


@pytest.mark.parametrize(("coupon", "worth"), [("co_half", 25), ("co_once", 50)])
def test_of_the_coupons_of_a_phase_those_that_last_count(coupon: str, worth: int):
    phase = {"discounts": [{"coupon": coupon}]}

    found = change(schedule({"price": "p_50", "quantity": 1}, phase=phase))

    assert found == {"KRW": worth}


@pytest.mark.parametrize(
    "content",
    [
        schedule({"price": "p_unknown", "quantity": 1}),
        schedule({"price": "p_50", "quantity": 1}, phase={"discounts": [{"coupon": "co_x"}]}),
    ],
)
def test_a_schedule_that_names_what_nobody_told_is_listed_and_left_out(content: dict[str, Any]):
    found = run(content, state("2026-01-10", "100", subscription="s1"))

    assert found == Scheduled({}, ("sub_sched_1",))


def test_an_object_of_another_form_is_no_schedule():
    assert schedule_in({"id": "sub_sched_1", "phases": "none"}) is None
    assert schedule_in({"id": "sub_sched_1", "status": "active", "phases": []}) is None
