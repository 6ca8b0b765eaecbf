"""What an item costs, in every form that Stripe gives a price."""

from typing import Any

import pytest

from tests.unit.ingest.stripe_objects import (
    fact_item,
    item,
    items,
    plan,
    price,
    recurring,
    refusal,
    tax_rate,
    updated,
)


def priced(*, line: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The item of a fact whose price has these fields."""
    return fact_item(updated(items=items(item(price=price(**fields), **(line or {})))))


@pytest.mark.parametrize("whole", [None, 0, 1])
def test_exact_amount_counts_before_the_whole_one(whole: int | None):
    found = priced(unit_amount=whole, unit_amount_decimal="0.000000000005")

    assert found["unit_amount"] == "0.000000000005"


def test_amount_of_versions_without_exact_ones_is_whole():
    sent = price()
    del sent["unit_amount_decimal"]

    assert fact_item(updated(items=items(item(price=sent))))["unit_amount"] == "33000"


@pytest.mark.parametrize("sent", [0.1, 1, "0.10"])
def test_exact_amount_keeps_each_digit_however_it_is_written(sent: Any):
    assert priced(unit_amount=None, unit_amount_decimal=sent)["unit_amount"] == str(sent)


def test_price_without_amount_is_refused():
    bare = price(unit_amount=None, unit_amount_decimal=None)

    assert refusal(updated(items=items(item(price=bare)))) == "missing_price"


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e99999999", "x" * 50])
def test_amount_that_is_no_number_is_refused(amount: str):
    broken = price(unit_amount=None, unit_amount_decimal=amount)

    assert refusal(updated(items=items(item(price=broken)))) == "schema_violation"


def test_amount_of_40_digits_is_refused():
    broken = price(unit_amount=None, unit_amount_decimal="1" * 40)

    assert refusal(updated(items=items(item(price=broken)))) in {
        "too_many_digits",
        "schema_violation",
    }


@pytest.mark.parametrize("interval", ["day", "week", "month", "year"])
def test_interval_and_its_count_are_carried(interval: str):
    found = priced(recurring=recurring(interval=interval, interval_count=3))

    assert (found["interval"], found["interval_count"]) == (interval, 3)


@pytest.mark.parametrize("count", [0, -1])
def test_interval_of_nothing_is_refused(count: int):
    broken = price(recurring=recurring(interval_count=count))

    assert refusal(updated(items=items(item(price=broken)))) == "bad_interval"


def test_unknown_interval_is_refused():
    broken = price(recurring=recurring(interval="fortnight"))

    assert refusal(updated(items=items(item(price=broken)))) == "bad_interval"


def test_one_time_price_is_refused_in_a_subscription():
    assert refusal(updated(items=items(item(price=price(recurring=None))))) == "schema_violation"


def test_metered_item_needs_no_quantity():
    line = item(price=price(recurring=recurring(usage_type="metered", meter="mtr_1")))
    del line["quantity"]

    found = fact_item(updated(items=items(line)))

    assert found["usage_type"] == "metered"
    assert "quantity" not in found


def test_quantity_is_transformed_before_it_is_priced():
    found = priced(transform_quantity={"divide_by": 10, "round": "up"})

    assert found["transform_quantity"] == {"divide_by": 10, "round": "up"}


# --- tiers --------------------------------------------------------------------------------------


def test_tiers_that_an_event_leaves_out_are_named_by_their_price():
    found = priced(
        billing_scheme="tiered",
        tiers_mode="graduated",
        unit_amount=None,
        unit_amount_decimal=None,
    )

    assert found["tiers"] == {"object_id": "price_1"}
    assert found["tiers_mode"] == "graduated"
    assert "unit_amount" not in found


def test_tiers_that_are_told_are_carried():
    tiers = [
        {
            "up_to": 10,
            "flat_amount": 0,
            "flat_amount_decimal": "0",
            "unit_amount": 500,
            "unit_amount_decimal": "500",
        },
        {
            "up_to": None,
            "flat_amount": None,
            "flat_amount_decimal": None,
            "unit_amount": None,
            "unit_amount_decimal": "0.5",
        },
    ]

    found = priced(billing_scheme="tiered", tiers_mode="volume", tiers=tiers)

    assert found["tiers"] == [
        {"up_to": 10, "unit_amount": "500", "flat_amount": "0"},
        {"unit_amount": "0.5"},
    ]


def test_tiers_of_old_plans_say_amount():
    old = plan(
        billing_scheme="tiered",
        tiers_mode="volume",
        amount=None,
        amount_decimal=None,
        tiers=[{"amount": 700, "up_to": "inf"}],
        transform_usage={"divide_by": 2, "round": "down"},
    )

    found = fact_item(updated(items=items(item(price=None, plan=old))))

    assert found["tiers"] == [{"up_to": "inf", "unit_amount": "700"}]
    assert found["transform_quantity"] == {"divide_by": 2, "round": "down"}


# --- currency -----------------------------------------------------------------------------------


def test_price_of_another_currency_is_read_from_its_options():
    found = priced(
        currency="usd",
        unit_amount=2500,
        unit_amount_decimal="2500",
        currency_options={
            "krw": {
                "unit_amount": 33000,
                "unit_amount_decimal": "33000",
                "tax_behavior": "exclusive",
            }
        },
    )

    assert (found["unit_amount"], found["tax_behavior"]) == ("33000", "exclusive")


def test_price_that_is_not_told_in_the_subscriptions_currency_is_refused():
    foreign = price(currency="usd", unit_amount=2500, unit_amount_decimal="2500")

    assert refusal(updated(items=items(item(price=foreign)))) == "price_unknown"


# --- tax ----------------------------------------------------------------------------------------


def test_inclusive_rates_of_the_item_make_the_tax_inside_the_price():
    rates = [tax_rate(7.25, inclusive=True), tax_rate(2.75, inclusive=True)]

    found = priced(line={"tax_rates": rates})

    assert (found["tax_behavior"], found["tax_percent"]) == ("inclusive", "10.00")


def test_exclusive_rates_change_nothing():
    found = priced(line={"tax_rates": [tax_rate(10, inclusive=False)]})

    assert "tax_percent" not in found
    assert found["tax_behavior"] == "unspecified"


def test_only_the_inclusive_ones_of_several_rates_matter():
    rates = [tax_rate(10, inclusive=True), tax_rate(3, inclusive=False)]

    assert priced(line={"tax_rates": rates})["tax_percent"] == "10"


@pytest.mark.parametrize("own", [[], None])
def test_rates_of_the_subscription_count_where_the_item_has_none(own: Any):
    found = fact_item(
        updated(
            items=items(item(tax_rates=own)), default_tax_rates=[tax_rate(10.0, inclusive=True)]
        )
    )

    assert found["tax_percent"] == "10.0"


def test_rates_of_the_item_count_before_those_of_the_subscription():
    found = fact_item(
        updated(
            items=items(item(tax_rates=[tax_rate(5, inclusive=True)])),
            default_tax_rates=[tax_rate(10, inclusive=True)],
        )
    )

    assert found["tax_percent"] == "5"


def test_rate_that_is_only_named_is_refused():
    assert refusal(updated(default_tax_rates=["txr_1"])) == "tax_unknown"


def test_inclusive_price_whose_tax_is_computed_later_is_refused():
    automatic = {
        "items": items(item(price=price(tax_behavior="inclusive"))),
        "automatic_tax": {"enabled": True},
    }

    assert refusal(updated(**automatic)) == "tax_unknown"


def test_inclusive_price_without_any_tax_is_as_it_stands():
    found = priced(tax_behavior="inclusive")

    assert found["tax_behavior"] == "inclusive"
    assert "tax_percent" not in found


def test_flat_amount_of_tax_inside_a_price_is_refused():
    flat = tax_rate(0, inclusive=True) | {"rate_type": "flat_amount"}

    assert refusal(updated(default_tax_rates=[flat])) == "tax_unknown"


@pytest.mark.parametrize(("sent", "told"), [("150000", "1500.00"), ("1" * 18, "1" * 16 + ".11")])
def test_the_krona_is_sent_with_two_decimals_that_it_does_not_have(sent: str, told: str):
    sold = price(currency="isk", unit_amount=None, unit_amount_decimal=sent)

    found = fact_item(updated(currency="isk", items=items(item(price=sold))))

    assert found["unit_amount"] == told
