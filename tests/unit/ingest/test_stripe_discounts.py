"""Discounts in every form that Stripe gives them: whole, named, of old and of new versions."""

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.ingest.builders import NOON
from tests.unit.ingest.stripe_objects import (
    CREATED,
    coupon,
    discount,
    fact,
    facts,
    item,
    items,
    refusal,
    seconds,
    updated,
)

START = CREATED.isoformat().replace("+00:00", "Z")
END = NOON + timedelta(days=90)
WHOLE = {"kind": "percent", "value": "20.0", "duration": "forever", "start": START}


def discounts(**fields: Any) -> list[dict[str, Any]]:
    found = fact(updated(**fields))["discounts"]
    assert isinstance(found, list)
    return found


def of_coupon(**fields: Any) -> dict[str, Any]:
    return discount(source={"coupon": coupon(**fields), "type": "coupon"})


def test_subscription_without_discounts_says_nothing_of_them():
    assert "discounts" not in fact(updated())


def test_discount_that_an_event_only_names_stands_by_its_id():
    assert discounts(discounts=["di_1", "di_2"]) == [{"object_id": "di_1"}, {"object_id": "di_2"}]


def test_discount_of_an_item_stands_at_the_item():
    found = fact(updated(items=items(item(discounts=["di_7", discount()])), discounts=["di_1"]))

    assert found["items"][0]["discounts"] == [{"object_id": "di_7"}, WHOLE]
    assert found["discounts"] == [{"object_id": "di_1"}]


def test_coupon_stands_in_the_source_of_a_discount():
    assert discounts(discounts=[discount()]) == [WHOLE]


def test_coupon_stands_in_the_discount_itself_in_older_versions():
    old = discount(coupon=coupon())
    del old["source"]

    assert discounts(discounts=[old]) == [WHOLE]


def test_single_discount_of_older_versions_is_the_list():
    sent = updated(discount=discount(coupon=coupon(), source=None))
    del sent["data"]["object"]["discounts"]

    assert fact(sent)["discounts"] == [WHOLE]


def test_single_discount_tells_what_the_list_beside_it_names():
    both = discounts(discounts=["di_0", "di_1"], discount=discount())

    assert both == [{"object_id": "di_0"}, WHOLE]


def test_repeating_discount_ends_when_it_says():
    sent = of_coupon(duration="repeating", duration_in_months=3) | {"end": seconds(END)}

    (found,) = discounts(discounts=[sent])

    assert (found["duration"], found["end"]) == (
        "repeating",
        END.isoformat().replace("+00:00", "Z"),
    )


def test_repeating_discount_without_end_is_refused_and_not_for_ever():
    assert refusal(updated(discounts=[of_coupon(duration="repeating")])) == "discount_unknown"


def test_discount_that_holds_once_says_so():
    (found,) = discounts(discounts=[of_coupon(duration="once")])

    assert found["duration"] == "once"


def test_percentage_keeps_its_digits():
    (found,) = discounts(discounts=[of_coupon(percent_off=33.333)])

    assert found["value"] == "33.333"


def test_amount_off_counts_in_the_coupons_own_currency():
    (found,) = discounts(discounts=[of_coupon(percent_off=None, amount_off=5000, currency="krw")])

    assert (found["kind"], found["value"]) == ("amount", "5000")


def test_amount_off_in_another_currency_is_read_from_its_options():
    options = {"krw": {"amount_off": 6500}, "eur": {"amount_off": 450}}

    (found,) = discounts(
        discounts=[
            of_coupon(percent_off=None, amount_off=500, currency="usd", currency_options=options)
        ]
    )

    assert (found["kind"], found["value"]) == ("amount", "6500")


def test_amount_off_that_is_not_told_in_the_currency_is_refused():
    foreign = of_coupon(percent_off=None, amount_off=500, currency="usd")

    assert refusal(updated(discounts=[foreign])) == "discount_unknown"


def test_coupon_for_some_products_takes_from_these_only():
    (found,) = discounts(discounts=[of_coupon(applies_to={"products": ["prod_1"]})])

    assert found["products"] == ["prod_1"]


def test_coupon_that_is_only_named_leaves_its_discount_to_be_looked_up():
    named = discount(source={"coupon": "co_1", "type": "coupon"})

    state, told = facts(updated(discounts=[named]))

    assert state["discounts"] == [{"object_id": "di_1", "start": START}]
    assert (told["type"], told["object_id"]) == ("provider_object", "di_1")
    assert told["id"] == "evt_1 di_1"
    assert told["object"] == {
        "id": "di_1",
        "source": {"coupon": "co_1"},
        "start": seconds(CREATED),
    }


def test_discount_that_names_nothing_is_refused():
    assert refusal(updated(discounts=[{"start": 1, "end": None}])) == "discount_unknown"


def test_hole_in_the_list_is_no_discount():
    assert "discounts" not in fact(updated(discounts=[None]))


@pytest.mark.parametrize("percent", [101, -1])
def test_percentage_beyond_all_is_refused(percent: int):
    sent = updated(discounts=[of_coupon(percent_off=percent)])

    assert refusal(sent) in {"bad_percent", "negative_amount"}
