"""An entry of the billing system's list: in our own form, or as Stripe's API returns it."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from services.metrics.model.entries import Entry, read_entry
from services.metrics.model.objects import NO_OBJECTS, objects_of
from services.metrics.model.state import PricedState, priced
from shared.events.facts import BadFact, fact_of
from shared.events.refusals import EventRefused
from tests.unit.ingest.stripe_changes import FULL, Changes, changed, changes_of
from tests.unit.ingest.stripe_objects import (
    coupon,
    discount,
    event,
    item,
    items,
    price,
    subscription,
)
from tests.unit.ingest.stripe_objects import fact as fact_of_webhook
from tests.unit.metrics.builders import instant
from tests.unit.metrics.builders import item as own_item

AT = instant("2026-12-01")
TIERED = {"billing_scheme": "tiered", "tiers_mode": "volume", "unit_amount": None}
TIERED |= {"unit_amount_decimal": None}


def read(entry: dict[str, Any]) -> Entry:
    return read_entry(entry, AT, name="entry 7")


def worth(entry: dict[str, Any]) -> PricedState:
    found = read(entry)
    return priced(found.state, objects_of(found.told))


def mrr(entry: dict[str, Any]) -> Fraction:
    found = worth(entry)
    assert not found.unresolved
    return found.turns[0].mrr


def test_a_subscription_of_stripe_is_a_state_at_the_time_of_the_list():
    state = read(subscription()).state

    assert (state.id, state.source, state.effective_at) == ("entry 7", "stripe", AT)
    assert (state.account, state.subscription, state.currency) == ("cus_1", "sub_1", "KRW")
    assert [(one.quantity, one.unit_amount) for one in state.items] == [(2, Decimal(33000))]


def test_an_expanded_customer_is_the_same_customer():
    assert read(subscription(customer={"id": "cus_1", "object": "customer"})).state.account == (
        "cus_1"
    )


def test_an_entry_of_our_own_form_says_itself_whose_it_is():
    own = {"account": "acme", "subscription": "s1", "status": "active", "currency": "KRW"}
    state = read({**own, "items": [own_item("100")]}).state

    assert (state.source, state.account, state.effective_at) == ("native", "acme", AT)


def test_expanded_tiers_price_the_quantity():
    tiers = [
        {"up_to": 5, "unit_amount": 700, "flat_amount": 90},
        {"up_to": None, "unit_amount": 650, "flat_amount": None},
    ]

    assert mrr(subscription(items=items(item(price=price(**TIERED, tiers=tiers))))) == 2 * 700 + 90


def test_tiers_that_are_left_out_are_named():
    found = worth(subscription(items=items(item(price=price(**TIERED)))))

    assert found.unresolved == ("price_1",)


def test_an_expanded_discount_is_taken_off():
    assert mrr(subscription(discounts=[discount()])) == 66000 * Fraction(4, 5)


def test_a_percentage_is_what_was_written():
    off = discount(source={"coupon": coupon(percent_off=12.34)})

    (read_off,) = read(subscription(discounts=[off])).state.discounts
    assert read_off.value == Decimal("12.34")


def test_a_discount_whose_coupon_is_only_named_is_told_for_the_look_up():
    entry = subscription(discounts=[discount(source={"coupon": "co_1", "type": "coupon"})])

    (told,) = read(entry).told
    assert (told.object_id, told.object["source"]) == ("di_1", {"coupon": "co_1"})


def test_a_discount_that_is_only_an_id_is_named():
    found = priced(read(subscription(discounts=["di_1"])).state, NO_OBJECTS)

    assert "di_1" in found.unresolved


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"customer": None}, "missing_account"),
        ({"items": items(item(), has_more=True)}, "items_incomplete"),
        ({"items": None}, "schema_violation"),
        ({"items": "none"}, "schema_violation"),
        ({"status": 7}, "schema_violation"),
        ({"status": "asleep"}, "schema_violation"),
        ({"currency": "usd"}, "price_unknown"),
        (
            {"cancel_at_period_end": True, "items": items(item(current_period_end=None))},
            "end_unknown",
        ),
        ({"items": items(item(quantity=-1))}, "negative_quantity"),
        (
            {"items": items(item(price=price(unit_amount=None, unit_amount_decimal=float("nan"))))},
            "schema_violation",
        ),
    ],
)
def test_what_stripe_leaves_open_is_refused_with_its_code(fields: dict[str, Any], code: str):
    with pytest.raises((EventRefused, BadFact)) as refused:
        read(subscription(**fields))

    assert refused.value.code == code


@pytest.mark.parametrize("status", ["canceled", "incomplete_expired", "unpaid", "paused"])
def test_a_subscription_that_does_not_count_is_worth_nothing(status: str):
    assert mrr(subscription(status=status)) == 0


def test_an_entry_says_what_the_webhook_of_the_same_object_says():
    sent = fact_of_webhook(event("customer.subscription.updated", FULL))
    webhook = fact_of(sent | {"id": "entry 7", "effective_at": AT.isoformat()}, received_at=AT)

    assert read(FULL).state == msgspec.structs.replace(webhook, seq=0, digest=None)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=changes_of(FULL))
def test_an_entry_changed_anywhere_is_read_or_refused(changes: Changes):
    try:
        found = read(changed(FULL, changes))
    except (EventRefused, BadFact):
        return
    assert priced(found.state, objects_of(found.told)).turns


def test_half_a_character_is_refused_before_it_is_looked_for():
    with pytest.raises(BadFact, match="cannot be stored"):
        read(subscription(id="\ud800"))
