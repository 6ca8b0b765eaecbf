"""The billing system's own list against our books."""

from typing import Any

from shared.events.ingest import AccountUpserted
from tests.service.metrics.books import Books, appended, said, state
from tests.unit.ingest.stripe_objects import discount, item, items, price, subscription

AT = "2025-02-01T00:00:00Z"


def entry(account: str, mrr: int, **fields: Any) -> dict[str, Any]:
    """A subscription as the list has it."""
    told = state(account, AT, mrr, **fields)
    return {name: told[name] for name in told if name not in ("id", "type", "effective_at")}


async def compare(books: Books, *entries: dict[str, Any], **asked: Any) -> dict[str, Any]:
    answer = await books.ask(
        "POST", "/reconciliations", json={"subscriptions": list(entries), "as_of": AT, **asked}
    )
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_every_account_that_differs_is_named_with_the_reason(books: Books):
    january = "2025-01-05T00:00:00Z"
    for account in ("equal", "price", "status", "here"):
        await books.apply(said(state(account, january, 1000), at=january))

    found = await compare(
        books,
        entry("equal", 1000),
        entry("price", 1200),
        entry("status", 1000, status="canceled"),
        entry("there", 700),
    )

    assert (found["accounts"], found["equal"]) == (5, 1)
    assert [
        (d["account"], d["ours"], d["theirs"], [s["why"] for s in d["subscriptions"]])
        for d in found["differences"]
    ] == [
        ("price", "1000", "1200", ["price"]),
        ("status", "1000", "0", ["status"]),
        ("there", "0", "700", ["missing_here"]),
        ("here", "1000", "0", ["missing_there"]),
    ]


async def test_a_list_that_is_not_complete_says_nothing_of_other_accounts(books: Books):
    await books.apply(said(state("here", "2025-01-05T00:00:00Z", 1000), at=AT))

    found = await compare(books, complete=False)

    assert found["differences"] == []


async def test_one_page_of_a_list_says_nothing_of_an_account_s_other_subscriptions(books: Books):
    january = "2025-01-05T00:00:00Z"
    await books.apply(said(state("acme", january, 1000), at=january))
    await books.apply(said(state("acme", january, 1000, subscription="s-other"), at=january))

    found = await compare(books, entry("acme", 1000), complete=False)

    assert (found["accounts"], found["differences"]) == (1, [])


async def test_an_entry_that_cannot_be_read_is_told_and_the_others_stand(books: Books):
    found = await compare(books, entry("a", 5, currency="XXX"), entry("b", 5))

    assert [(r["index"], r["code"]) for r in found["refused"]] == [(0, "unknown_currency")]
    assert [d["account"] for d in found["differences"]] == ["b"]


def exported(customer: str, *held: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A subscription of a customer's as Stripe lists it; two units at 500 where none is held."""
    lines = items(*(held or [exported_item(2)]))
    told = {"id": f"s-{customer}", "customer": customer, "currency": "eur", "items": lines}
    return subscription(**told, **fields)


def exported_item(quantity: int, **fields: Any) -> dict[str, Any]:
    priced = price(currency="eur", unit_amount=500, unit_amount_decimal="500", **fields)
    return item(price=priced, quantity=quantity)


def booked(customer: str, **fields: Any) -> dict[str, Any]:
    """The same, as a webhook brought it: two units at 500."""
    line = {"price": "price_1", "interval": "month", "quantity": 2, "unit_amount": "500"}
    told = {"source": "stripe", "items": [line], **fields}
    return state(customer, "2025-01-05T00:00:00Z", 1000, **told)


async def test_an_export_of_stripe_is_compared_as_it_is(books: Books):
    january = "2025-01-05T00:00:00Z"
    for customer in ("cus_equal", "cus_quantity"):
        await books.apply(said(booked(customer), at=january))

    found = await compare(
        books,
        exported("cus_equal"),
        exported("cus_quantity", exported_item(3)),
        exported("cus_new"),
        subscription(id="s-open", items=items(item(), has_more=True)),
    )

    assert (found["accounts"], found["equal"]) == (3, 1)
    assert [
        (d["account"], d["ours"], d["theirs"], [s["why"] for s in d["subscriptions"]])
        for d in found["differences"]
    ] == [
        ("cus_new", "0", "1000", ["missing_here"]),
        ("cus_quantity", "1000", "1500", ["quantity"]),
    ]
    (refused,) = found["refused"]
    assert (refused["index"], refused["code"]) == (3, "items_incomplete")
    assert "s-open" in refused["message"]


async def test_a_customer_in_an_export_is_the_account_that_it_was_said_to_be(books: Books):
    await books.apply(said(booked("cus_1"), at="2025-01-05T00:00:00Z"))
    mapped = AccountUpserted(external_ids={"stripe": "cus_1"})
    await books.apply(appended(mapped, at="2025-01-06T00:00:00Z", account="acme"))

    found = await compare(books, exported("cus_1", exported_item(5)))

    assert (found["accounts"], found["equal"]) == (1, 0)
    assert [d["account"] for d in found["differences"]] == ["acme"]


async def test_what_an_export_only_names_is_looked_up_in_the_books(books: Books):
    tiers = [{"up_to": None, "unit_amount": 400, "flat_amount": 100}]
    held = {"price_t": {"tiers": tiers, "tiers_mode": "volume"}} | {
        "co_1": {"id": "co_1", "duration": "forever", "percent_off": 50},
        "di_2": {"id": "di_2", "coupon": "co_1"},
    }
    for number, (name, told) in enumerate(held.items()):
        looked_up = {"type": "provider_object", "object_id": name, "object": told}
        fact = {"id": f"o{number}", "source": "stripe", "effective_at": AT, **looked_up}
        await books.apply(said(fact, at=AT))
    begun = 1735689600
    named = discount(source={"coupon": "co_1", "type": "coupon"}, start=begun)
    unsaid = {"billing_scheme": "tiered", "tiers_mode": "volume"}

    found = await compare(
        books,
        exported("cus_coupon", discounts=[named]),
        exported("cus_id", discounts=["di_2"]),
        exported("cus_tiers", exported_item(2, id="price_t", **unsaid)),
    )

    assert [(d["account"], d["theirs"]) for d in found["differences"]] == [
        ("cus_coupon", "500"),
        ("cus_id", "500"),
        ("cus_tiers", "900"),
    ]
