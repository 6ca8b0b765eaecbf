"""A provider's own objects: what a webhook only names is resolved by facts, in any order."""

from fractions import Fraction
from typing import Any

import pytest

from services.metrics.model.books import priced_states
from shared.events.billing import AnyFact
from tests.unit.metrics.builders import books_from, discount, fact, instant, item, mrr_at, state

PRICE = {
    "id": "price_1",
    "object": "price",
    "product": "prod_1",
    "billing_scheme": "tiered",
    "tiers_mode": "graduated",
    "tiers": [
        {"up_to": 10, "unit_amount": 100, "unit_amount_decimal": "100", "flat_amount": None},
        {"up_to": None, "unit_amount": None, "unit_amount_decimal": "0.5", "flat_amount": 7},
    ],
}
COUPON = {"id": "co_1", "object": "coupon", "percent_off": 12.5, "duration": "forever"}
NAMED_TIERS = item(None, 12, price="price_1", tiers={"object_id": "price_1"})
NAMED_DISCOUNT = {"object_id": "di_1"}


def told(object_id: str, content: dict[str, Any], **fields: Any) -> AnyFact:
    return fact("provider_object", source="stripe", object_id=object_id, object=content, **fields)


def worth_with(discounted: dict[str, Any], *facts: AnyFact, currency: str = "KRW") -> Fraction:
    subscribed = state("2026-01-10", discounts=[discounted], currency=currency)
    return mrr_at("2026-02-01", subscribed, *facts, currency=currency)


def test_tiers_that_are_only_named_come_from_the_price_with_all_decimals():
    subscribed = state("2026-01-10", items=[NAMED_TIERS])

    assert mrr_at("2026-02-01", subscribed, told("price_1", PRICE)) == 1000 + 2 * Fraction(1, 2) + 7


def test_what_nobody_has_told_is_no_guess_and_is_listed():
    subscribed = state("2026-01-10", items=[NAMED_TIERS, item("50")], discounts=[NAMED_DISCOUNT])

    made = books_from(subscribed)

    assert made.unresolved == {"price_1", "di_1"}
    assert mrr_at("2026-02-01", subscribed) == 50


@pytest.mark.parametrize(
    "content",
    [
        {"object": "discount", "source": {"type": "coupon", "coupon": COUPON}},
        {"object": "discount", "source": {"type": "coupon", "coupon": "co_1"}},
        {"object": "discount", "coupon": COUPON},
        {"object": "discount", "coupon": "co_1"},
        COUPON,
    ],
    ids=["source", "source by id", "older version", "older version by id", "coupon"],
)
def test_a_discount_is_read_in_every_form_of_the_provider(content: dict[str, Any]):
    facts = [told("di_1", content), told("co_1", COUPON)]

    assert worth_with(NAMED_DISCOUNT, *facts) == Fraction(875, 10)


def test_a_discount_runs_from_its_start_to_before_its_end():
    content = {
        "coupon": {**COUPON, "duration": "repeating"},
        "start": int(instant("2026-01-15").timestamp()),
        "end": int(instant("2026-03-15").timestamp()),
    }
    facts = [state("2026-01-10", discounts=[NAMED_DISCOUNT]), told("di_1", content)]

    assert mrr_at("2026-01-14", *facts) == 100
    assert mrr_at("2026-01-15", *facts) == Fraction(875, 10)
    assert mrr_at("2026-03-15", *facts) == 100


def test_a_snapshots_own_word_on_the_span_of_a_discount_stands():
    content = {"coupon": COUPON, "start": 0, "end": int(instant("2026-02-20").timestamp())}
    own_end = {**NAMED_DISCOUNT, "end": "2026-03-01T00:00:00Z"}
    facts = [state("2026-01-10", discounts=[own_end]), told("di_1", content)]

    assert mrr_at("2026-02-28", *facts) == Fraction(875, 10)
    assert mrr_at("2026-03-01", *facts) == 100


def test_a_coupon_of_another_currency_takes_what_its_options_say():
    options = {"krw": {"amount_off": 30}}
    euro = {"amount_off": 5, "currency": "eur", "duration": "forever", "currency_options": options}

    assert worth_with(NAMED_DISCOUNT, told("di_1", {"coupon": euro})) == 70
    assert worth_with(NAMED_DISCOUNT, told("di_1", {"coupon": euro}), currency="EUR") == 95


def test_a_coupon_without_an_amount_in_the_currency_is_unresolved():
    euro = {"amount_off": 5, "currency": "eur", "duration": "forever"}
    facts = [state("2026-01-10", discounts=[NAMED_DISCOUNT]), told("di_1", {"coupon": euro})]

    assert books_from(*facts).unresolved == {"di_1"}
    assert mrr_at("2026-02-01", *facts) == 100


def test_a_discount_for_some_products_takes_from_their_items_only():
    content = {"coupon": {**COUPON, "percent_off": 50, "applies_to": {"products": ["prod_1"]}}}
    subscribed = state(
        "2026-01-10",
        items=[item("100", price="price_1"), item("60", product="prod_2")],
        discounts=[NAMED_DISCOUNT],
    )

    facts = [subscribed, told("di_1", content), told("price_1", PRICE)]

    assert mrr_at("2026-02-01", *facts) == 50 + 60


def test_an_amount_for_some_products_is_shared_over_their_items():
    off = discount("30", kind="amount", products=["prod_1"])
    items = [item("100", product="prod_1"), item("50", product="prod_1"), item("9", product="x")]

    assert mrr_at("2026-02-01", state("2026-01-10", items=items, discounts=[off])) == 129


def test_an_item_whose_product_nobody_told_is_unresolved_where_it_matters():
    off = discount("30", products=["prod_1"])

    assert books_from(state("2026-01-10", discounts=[off])).unresolved == {"p"}


def test_a_discount_that_also_says_its_terms_needs_no_look_up():
    assert worth_with({**discount("20"), "object_id": "di_9"}) == 80


def test_an_object_is_the_version_told_by_then_else_the_first_known():
    earlier, later = (
        told("di_1", {"coupon": {**COUPON, "percent_off": percent}}, effective_at=at)
        for percent, at in ((10, "2026-01-20"), (20, "2026-03-01"))
    )
    before, at_once = "2026-01-10", "2026-03-01"
    facts = [state(at, discounts=[NAMED_DISCOUNT]) for at in (before, at_once)]

    assert mrr_at("2026-02-01", *facts, later, earlier) == 90
    assert mrr_at(at_once, *facts, earlier, later) == 80


@pytest.mark.parametrize(
    "content",
    [
        {"tiers": [{"up_to": "many"}], "tiers_mode": "volume"},
        {"tiers": [{"unit_amount": "x"}], "tiers_mode": "volume"},
        {"tiers": [{"up_to": 5, "unit_amount": 1}], "tiers_mode": "volume"},
        {"tiers": [{"unit_amount": 1}], "tiers_mode": "sideways"},
        {"tiers": "none"},
        {"unit_amount": 5},
    ],
)
def test_an_object_that_has_not_the_providers_form_stays_unresolved(content: dict[str, Any]):
    subscribed = state("2026-01-10", items=[NAMED_TIERS])

    assert books_from(subscribed, told("price_1", content)).unresolved == {"price_1"}


def test_a_priced_state_names_the_objects_it_was_made_of():
    subscribed = state("2026-01-10", items=[NAMED_TIERS], discounts=[NAMED_DISCOUNT])

    (priced,) = priced_states([subscribed, told("price_1", PRICE)])["acme"]

    assert priced.object_ids == ("di_1", "price_1")
    assert priced.unresolved == ("di_1",)


def test_the_krona_of_a_price_that_was_looked_up_has_no_decimals():
    tiered = PRICE | {"currency": "isk", "tiers": [{"up_to": None, "unit_amount": 50000}]}
    subscribed = state("2026-01-10", items=[NAMED_TIERS], currency="ISK")

    worth = mrr_at("2026-02-01", subscribed, told("price_1", tiered), currency="ISK")

    assert worth == 12 * 500


def test_an_amount_off_in_krona_has_no_decimals():
    coupon = {"object": "coupon", "duration": "forever", "currency": "isk", "amount_off": 1000}
    found = worth_with(NAMED_DISCOUNT, told("di_1", coupon), currency="ISK")

    assert found == 100 - 10


def of_customer(content: dict[str, Any], at: str, **fields: Any) -> AnyFact:
    """What is told of a customer's own discount from `at` on."""
    return told("acme", content, effective_at=at, **fields)


HALF_OFF = {"object": "discount", "coupon": {"duration": "forever", "percent_off": 50}}
NONE_LEFT = {"object": "discount", "deleted": True}


@pytest.mark.parametrize(
    ("at", "worth"),
    [("2026-02-28", 100), ("2026-03-01", 50), ("2026-03-31", 50), ("2026-04-01", 100)],
)
def test_a_discount_of_the_customer_lowers_its_subscriptions_for_its_time(at: str, worth: int):
    found = mrr_at(
        at,
        state("2026-01-10", source="stripe"),
        of_customer(HALF_OFF, "2026-03-01"),
        of_customer(NONE_LEFT, "2026-04-01"),
    )

    assert found == worth


def test_a_subscription_with_a_discount_of_its_own_does_not_get_its_customers():
    own = discount("10")
    subscribed = state("2026-01-10", source="stripe", discounts=[own])

    assert mrr_at("2026-03-01", subscribed, of_customer(HALF_OFF, "2026-02-01")) == 90


def test_another_discount_of_the_customer_replaces_the_one_before():
    tenth = HALF_OFF | {"coupon": {"duration": "forever", "percent_off": 10}}
    facts = (of_customer(HALF_OFF, "2026-02-01"), of_customer(tenth, "2026-03-01"))

    assert mrr_at("2026-02-15", state("2026-01-10", source="stripe"), *facts) == 50
    assert mrr_at("2026-03-15", state("2026-01-10", source="stripe"), *facts) == 90


def test_a_coupon_of_a_customers_discount_that_nobody_has_told_is_listed():
    named = {"object": "discount", "source": {"coupon": "co_1"}}
    subscribed = state("2026-01-10", source="stripe")
    facts = (subscribed, of_customer(named, "2026-02-01"))

    assert books_from(*facts).unresolved == {"acme"}
    assert mrr_at("2026-03-01", *facts) == 100
    known = told("co_1", {"duration": "forever", "percent_off": 20}, effective_at="2026-01-01")
    assert mrr_at("2026-03-01", *facts, known) == 80


def test_other_sources_know_no_discounts_of_customers():
    assert mrr_at("2026-03-01", state("2026-01-10"), of_customer(HALF_OFF, "2026-02-01")) == 100
