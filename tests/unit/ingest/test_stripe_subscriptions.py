"""A subscription's snapshot as a fact: its instants, its state, its end, its items."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.ingest.builders import NOON
from tests.unit.ingest.stripe_objects import (
    CREATED,
    PERIOD_END,
    event,
    fact,
    fact_item,
    item,
    items,
    plan,
    records,
    refusal,
    seconds,
    subscription,
    updated,
)


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def of_kind(kind: str, **fields: Any) -> dict[str, Any]:
    return fact(event(f"customer.subscription.{kind}", subscription(**fields)))


def test_snapshot_is_a_fact_of_the_customers_account():
    found = fact(updated())

    assert len(found.pop("digest")) == 16
    assert found.pop("follows")
    assert found == {
        "id": "evt_1",
        "source": "stripe",
        "type": "subscription_state",
        "effective_at": text(CREATED),
        "account": "cus_1",
        "subscription": "sub_1",
        "status": "active",
        "currency": "KRW",
        "seq": 1,
        "items": [
            {
                "price": "price_1",
                "product": "prod_1",
                "interval": "month",
                "interval_count": 1,
                "usage_type": "licensed",
                "tax_behavior": "unspecified",
                "unit_amount": "33000",
                "quantity": 2,
            }
        ],
    }


def test_record_is_keyed_by_account_and_tells_how_stripe_told_it():
    (record,) = records(updated({"items": {"data": [{"quantity": 1}]}, "metadata": {"a": "b"}}))

    assert record.topic == "ingest.billing.v1"
    assert record.envelope.partitionkey == "acme/cus_1"
    assert record.envelope.subject == "cus_1"
    assert (record.envelope.source, record.envelope.messageid) == ("stripe", "evt_1")
    assert record.envelope.id == "stripe evt_1 given-1"
    assert record.event.recorded_at is None
    provider = record.event.provider
    assert provider.event_type == "customer.subscription.updated"
    assert provider.created == CREATED
    assert provider.api_version == "2026-06-24.dahlia"
    assert bytes(provider.previous_attributes) == b'{"items":{"data":[{"quantity":1}]}}'


def test_api_version_may_be_unknown():
    (record,) = records(updated() | {"api_version": None})

    assert record.event.provider.api_version is None


# --- instants -----------------------------------------------------------------------------------


def test_updated_counts_from_when_stripe_made_the_event():
    late = updated(start_date=seconds(NOON - timedelta(days=400)))

    assert fact(late)["effective_at"] == text(CREATED)


def test_created_counts_from_a_start_date_before_it():
    start = NOON - timedelta(days=40)

    assert of_kind("created", start_date=seconds(start))["effective_at"] == text(start)


def test_created_counts_from_the_event_where_the_start_date_is_later():
    start = NOON + timedelta(days=40)

    assert of_kind("created", start_date=seconds(start))["effective_at"] == text(CREATED)


def test_created_reads_the_start_of_older_versions():
    sent = subscription(start=seconds(NOON - timedelta(days=3)))
    del sent["start_date"]

    found = fact(event("customer.subscription.created", sent))

    assert found["effective_at"] == text(NOON - timedelta(days=3))


def test_deleted_counts_from_ended_at_and_not_from_the_request():
    ended = CREATED - timedelta(hours=1)

    found = of_kind(
        "deleted",
        status="canceled",
        canceled_at=seconds(NOON - timedelta(days=20)),
        ended_at=seconds(ended),
    )

    assert found["effective_at"] == text(ended)
    assert found["status"] == "canceled"


def test_deleted_without_ended_at_counts_from_the_event():
    assert of_kind("deleted", status="canceled")["effective_at"] == text(CREATED)


def test_deleted_has_ended_whatever_status_it_says():
    assert of_kind("deleted", status="active")["status"] == "canceled"
    assert of_kind("deleted", status="incomplete_expired")["status"] == "incomplete_expired"


def test_within_one_second_created_updated_paused_deleted_is_the_order():
    kinds = ("created", "updated", "paused", "deleted")

    orders = [of_kind(kind)["seq"] for kind in kinds]

    assert orders == sorted(set(orders))
    assert of_kind("resumed")["seq"] == of_kind("paused")["seq"]


# --- state --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [
        "incomplete",
        "incomplete_expired",
        "trialing",
        "active",
        "past_due",
        "canceled",
        "unpaid",
        "paused",
    ],
)
def test_status_is_the_word_of_stripe(status: str):
    assert fact(updated(status=status))["status"] == status


def test_status_of_tomorrow_is_refused_and_not_guessed():
    assert refusal(updated(status="hibernating")) == "schema_violation"


@pytest.mark.parametrize("behavior", ["void", "mark_uncollectible", "keep_as_draft"])
def test_paused_collection_stands_beside_the_status(behavior: str):
    found = fact(updated(pause_collection={"behavior": behavior, "resumes_at": None}))

    assert (found["status"], found["pause"]) == ("active", {"behavior": behavior})


def test_pause_says_when_it_resumes():
    pause = {"behavior": "void", "resumes_at": seconds(PERIOD_END)}

    found = fact(updated(pause_collection=pause))

    assert found["pause"] == {"behavior": "void", "resumes_at": text(PERIOD_END)}


# --- the end ------------------------------------------------------------------------------------


def test_running_subscription_has_no_end():
    assert "ends_at" not in fact(updated())


def test_request_to_cancel_is_no_end():
    assert "ends_at" not in fact(updated(canceled_at=seconds(CREATED)))


def test_cancel_at_is_the_end():
    end = NOON + timedelta(days=7)

    found = fact(updated(cancel_at=seconds(end), cancel_at_period_end=False))

    assert found["ends_at"] == text(end)


def test_end_with_the_period_is_that_of_the_latest_item():
    last = PERIOD_END + timedelta(days=300)
    both = items(item(), item(id="si_2", current_period_end=seconds(last)))

    assert fact(updated(cancel_at_period_end=True, items=both))["ends_at"] == text(last)


def test_end_of_the_period_stands_on_the_subscription_in_older_versions():
    line = item()
    del line["current_period_end"]

    found = fact(
        updated(
            cancel_at_period_end=True,
            items=items(line),
            current_period_end=seconds(PERIOD_END),
        )
    )

    assert found["ends_at"] == text(PERIOD_END)


def test_end_with_a_period_that_is_not_told_is_refused():
    line = item(current_period_end=None)

    assert refusal(updated(cancel_at_period_end=True, items=items(line))) == "end_unknown"


def test_confirmation_after_the_end_stands():
    end = CREATED - timedelta(seconds=5)

    found = of_kind("deleted", status="canceled", ended_at=seconds(end), cancel_at=seconds(end))

    assert found["ends_at"] == found["effective_at"] == text(end)


def test_period_end_of_an_ended_subscription_is_nothing_to_come():
    assert "ends_at" not in of_kind("deleted", status="canceled", cancel_at_period_end=True)


# --- account and currency -----------------------------------------------------------------------


def test_expanded_customer_is_the_same_account():
    assert fact(updated(customer={"id": "cus_9", "object": "customer"}))["account"] == "cus_9"


def test_account_of_newer_versions_stands_for_the_customer():
    assert fact(updated(customer=None, customer_account="acct_9"))["account"] == "acct_9"


def test_subscription_of_nobody_is_refused():
    assert refusal(updated(customer=None)) == "missing_account"


def test_currency_of_older_versions_is_that_of_all_prices():
    assert fact(updated(currency=None))["currency"] == "KRW"


def test_currency_that_prices_disagree_on_is_refused():
    both = items(item(), item(price=None, plan=plan(currency="usd")))

    assert refusal(updated(currency=None, items=both)) == "schema_violation"


def test_unknown_currency_is_refused():
    line = item(price=None, plan=plan(currency="xxx"))

    assert refusal(updated(currency="xxx", items=items(line))) == "unknown_currency"


# --- items --------------------------------------------------------------------------------------


def test_every_item_of_the_page_counts():
    both = items(item(quantity=1), item(id="si_2", quantity=5))

    assert [line["quantity"] for line in fact(updated(items=both))["items"]] == [1, 5]


@pytest.mark.parametrize("page", [{"has_more": True}, {"total_count": 21}])
def test_snapshot_with_further_pages_of_items_is_refused(page: dict[str, Any]):
    assert refusal(updated(items=items(item(), **page))) == "items_incomplete"


def test_page_without_a_total_is_whole():
    page = items(item())
    del page["total_count"]

    assert len(fact(updated(items=page))["items"]) == 1


def test_plan_of_older_versions_stands_for_the_price():
    line = item(plan=plan(id="plan_7", amount=5000, amount_decimal="5000", interval="year"))
    del line["price"]

    found = fact_item(updated(items=items(line)))

    assert (found["price"], found["unit_amount"], found["interval"]) == ("plan_7", "5000", "year")


def test_price_counts_where_a_plan_stands_beside_it():
    found = fact_item(updated(items=items(item(plan=plan(amount=1, amount_decimal="1")))))

    assert (found["price"], found["unit_amount"]) == ("price_1", "33000")


def test_subscription_of_before_there_were_items_is_one_item():
    sent = updated(plan=plan(), quantity=4)
    del sent["data"]["object"]["items"]

    found = fact_item(sent)

    assert (found["price"], found["quantity"]) == ("plan_1", 4)


def test_subscription_without_items_and_plan_is_refused():
    sent = updated()
    del sent["data"]["object"]["items"]

    assert refusal(sent) == "schema_violation"


def test_item_without_price_is_refused():
    assert refusal(updated(items=items(item(price=None)))) == "schema_violation"


def test_price_that_is_only_named_is_refused():
    assert refusal(updated(items=items(item(price="price_1")))) == "schema_violation"


def test_licensed_item_without_quantity_is_refused_and_not_one():
    line = item()
    del line["quantity"]

    assert refusal(updated(items=items(line))) == "missing_quantity"


def test_negative_quantity_is_refused():
    assert refusal(updated(items=items(item(quantity=-1)))) == "negative_quantity"


def test_subscription_with_no_items_left_is_a_snapshot_of_nothing():
    assert fact(updated(items=items()))["items"] == []
