"""What each kind of Stripe event becomes, and which ones are of no use."""

from typing import Any

import msgspec
import pytest

from services.ingest.model.stripe.event import KINDS
from shared.events.ingest import (
    PaymentDisputed,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
)
from tests.unit.ingest.builders import NOON
from tests.unit.ingest.stripe_objects import (
    CREATED,
    coupon,
    discount,
    event,
    fact,
    facts,
    item,
    items,
    price,
    records,
    refusal,
    seconds,
    subscription,
    taken,
    updated,
)


def invoice(**fields: Any) -> dict[str, Any]:
    return {
        "id": "in_1",
        "object": "invoice",
        "amount_due": 66000,
        "amount_paid": 0,
        "attempt_count": 1,
        "currency": "krw",
        "customer": "cus_1",
        "customer_email": "ada@example.com",
        **fields,
    }


def charge(**fields: Any) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 66000,
        "amount_refunded": 66000,
        "currency": "krw",
        "customer": "cus_1",
        "invoice": "in_1",
        **fields,
    }


# --- objects that subscriptions name -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
def test_discount_is_kept_for_the_subscriptions_that_name_it(kind: str):
    found = fact(event(f"customer.discount.{kind}", discount()))

    assert (found["type"], found["object_id"]) == ("provider_object", "di_1")
    assert found["object"]["source"]["coupon"]["percent_off"] == 20.0
    assert found["effective_at"] == CREATED.isoformat().replace("+00:00", "Z")


def test_discount_of_a_customer_itself_is_told_of_the_customer_until_it_ends():
    whole = discount(subscription=None)

    begun = facts(event("customer.discount.created", whole))
    ended = facts(event("customer.discount.deleted", whole))

    assert [one["object_id"] for one in begun] == ["di_1", "cus_1"]
    assert begun[1]["object"] == begun[0]["object"]
    assert begun[1]["id"] != begun[0]["id"]
    assert ended[1]["object"] == {"object": "discount", "deleted": True}


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("coupon.created", coupon()),
        ("coupon.updated", coupon()),
        ("coupon.deleted", coupon()),
        ("price.created", price()),
        ("price.updated", price()),
        ("product.updated", {"id": "prod_1", "name": "Team"}),
        ("subscription_schedule.updated", {"id": "sub_sched_1", "phases": []}),
    ],
)
def test_object_is_kept_by_its_id(kind: str, held: dict[str, Any]):
    found = fact(event(kind, held))

    assert found["object_id"] == held["id"]
    assert found["object"] == {k: v for k, v in held.items() if k != "metadata"}


def test_object_concerns_the_whole_workspace():
    (record,) = records(event("coupon.created", coupon()))

    assert record.envelope.partitionkey == "acme/"
    assert record.envelope.subject is None


def test_what_people_write_into_an_object_is_left_out():
    found = fact(event("coupon.created", coupon(metadata={"for": "ada@example.com"})))

    assert "metadata" not in found["object"]


def test_price_without_its_tiers_must_not_hide_one_that_was_looked_up():
    tiered = price(billing_scheme="tiered", tiers_mode="volume")

    assert refusal(event("price.updated", tiered)) == "unused_type"


def test_price_with_its_tiers_is_kept():
    tiered = price(billing_scheme="tiered", tiers_mode="volume", tiers=[{"unit_amount": 5}])

    assert fact(event("price.updated", tiered))["object"]["tiers"] == [{"unit_amount": 5}]


# --- money that moves no recurring revenue --------------------------------------------------------


def test_paid_invoice_is_a_payment_beside_its_fact():
    noise, payment = records(event("invoice.paid", invoice(amount_paid=66000)))

    assert (noise.topic, payment.topic) == ("ingest.billing.v1", "ingest.interactions.v1")
    assert payment.event == PaymentSucceeded(
        payment="in_1", amount="66000", currency="KRW", invoice="in_1", attempt=1
    )
    assert payment.envelope.time == CREATED
    assert payment.envelope.partitionkey == "acme/cus_1"
    assert msgspec.json.decode(noise.event.fact)["type"] == "invoice_item"


def test_receipt_of_an_event_is_that_of_its_fact_alone():
    noise, payment = records(event("invoice.paid", invoice(amount_paid=66000)))

    assert (noise.envelope.messageid, payment.envelope.messageid) == ("evt_1", None)


def test_payment_sent_again_is_the_same_event_and_its_fact_another():
    sent = event("invoice.paid", invoice(amount_paid=66000))

    (fact_1, payment_1), (fact_2, payment_2) = taken(sent).stamped, taken(sent).stamped

    assert payment_1.id == payment_2.id == "stripe evt_1"
    assert fact_1.id.startswith("stripe evt_1 given-")
    assert fact_2.payload == fact_1.payload  # but for the uuid of each acceptance, here drawn alike


def test_invoice_over_nothing_is_no_payment():
    (noise,) = records(event("invoice.paid", invoice(amount_due=0)))

    assert noise.topic == "ingest.billing.v1"


def test_failed_payment_tells_which_try_it_was():
    _, payment = records(event("invoice.payment_failed", invoice(attempt_count=3)))

    assert payment.event == PaymentFailed(
        payment="in_1", amount="66000", currency="KRW", invoice="in_1", attempt=3
    )


@pytest.mark.parametrize(
    "kind", ["created", "finalized", "overdue", "voided", "marked_uncollectible"]
)
def test_what_becomes_of_an_invoice_is_noise(kind: str):
    found = fact(event(f"invoice.{kind}", invoice()))

    assert (found["type"], found["account"], found["object_id"]) == (
        "invoice_item",
        "cus_1",
        "in_1",
    )
    assert (found["amount"], found["currency"]) == ("66000", "KRW")
    assert "ada@example.com" not in str(found)


def test_refund_is_what_went_back_this_time():
    sent = event("charge.refunded", charge(amount_refunded=50000), {"amount_refunded": 20000})

    noise, payment = records(sent)

    assert payment.event == PaymentRefunded(
        payment="ch_1", amount="30000", currency="KRW", invoice="in_1"
    )
    assert msgspec.json.decode(noise.event.fact)["type"] == "refund"


def test_first_refund_is_all_that_went_back():
    _, payment = records(event("charge.refunded", charge(), {"refunded": False}))

    assert payment.event.amount == "66000"


def test_dispute_belongs_to_no_account_that_is_known():
    sent = {
        "id": "dp_1",
        "object": "dispute",
        "amount": 66000,
        "charge": "ch_1",
        "currency": "krw",
        "reason": "fraudulent",
    }

    (payment,) = records(event("charge.dispute.created", sent))

    assert payment.event == PaymentDisputed(
        payment="ch_1", amount="66000", currency="KRW", reason="fraudulent"
    )
    assert payment.envelope.messageid == "evt_1"
    assert payment.envelope.partitionkey == "acme/"


@pytest.mark.parametrize("kind", ["created", "updated", "voided"])
def test_credit_note_is_noise(kind: str):
    sent = {"id": "cn_1", "amount": 500, "currency": "krw", "customer": "cus_1"}

    assert fact(event(f"credit_note.{kind}", sent))["type"] == "credit_note"


# --- of no use -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "customer.subscription.trial_will_end",
        "customer.subscription.pending_update_applied",
        "customer.subscription.pending_update_expired",
        "invoice.payment_succeeded",
        "invoice.upcoming",
        "charge.succeeded",
        "charge.dispute.closed",
        "payment_intent.succeeded",
        "customer.updated",
        "customer.deleted",
    ],
)
def test_event_that_moves_nothing_is_kept_with_that_reason(kind: str):
    assert refusal(event(kind, subscription())) == "unused_type"


@pytest.mark.parametrize("kind", ["customer.subscription.frozen", "x", "CUSTOMER.CREATED"])
def test_event_of_a_kind_nobody_knows_is_kept_with_that_reason(kind: str):
    assert refusal(event(kind, subscription())) == "unknown_type"


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("held", [None, [], "sub_1", 7, {}])
def test_object_of_a_wrong_form_is_kept_with_a_reason(kind: str, held: Any):
    assert refusal(event(kind, held)) in {"schema_violation", "missing_account"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"id":"evt_1"}',
        b'{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error"}',
        b'{"id":7,"type":"coupon.created","created":1,"data":{"object":{}}}',
        b'{"id":"evt_1","type":"coupon.created","created":-1,"data":{"object":{}}}',
        b'{"id":"evt_1","type":"coupon.created","created":9e99,"data":{"object":{}}}',
        b'{"id":"evt_1","type":"coupon.created","created":1,"data":{}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_body_that_is_no_event_is_kept_with_a_reason(body: bytes):
    assert refusal(body) == "schema_violation"


def test_refused_event_is_known_by_its_own_id():
    assert taken(event("x", {}) | {"id": "evt_77"}).message_id == "evt_77"
    assert taken(b'{"id":"evt_78"}').message_id == "evt_78"


@pytest.mark.parametrize("body", [b"{", b'{"id":5}', b'{"id":""}', b'{"id":"a\\u0000"}'])
def test_refused_event_without_an_id_is_given_one(body: bytes):
    assert taken(body).message_id == "given-1"


def test_event_of_twenty_years_ago_is_refused():
    assert refusal(updated() | {"created": 1_000_000_000}) == "too_old"


def test_object_that_cannot_be_stored_is_refused():
    assert refusal(event("coupon.created", coupon(name="a\x00b"))) == "schema_violation"
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    assert refusal(event("coupon.created", coupon(name=deep))) == "schema_violation"


# --- which snapshot was replaced ------------------------------------------------------------------


def follows(sent: dict[str, Any]) -> Any:
    return fact(sent).get("follows")


def digest(sent: dict[str, Any]) -> Any:
    return fact(sent)["digest"]


def test_two_updates_of_one_second_are_a_chain():
    first = updated({"items": {"data": [item(quantity=2)]}}, items=items(item(quantity=3)))
    second = updated(
        {"items": {"data": [item(quantity=3)]}, "cancel_at": None},
        items=items(item(quantity=4)),
        cancel_at=seconds(NOON),
    )

    assert follows(second) == digest(first)
    assert follows(first) == digest(updated())
    assert len({digest(updated()), digest(first), digest(second)}) == 3


def test_content_has_one_digest_whichever_event_tells_it_and_when():
    created = event("customer.subscription.created", subscription())
    later = updated() | {"id": "evt_2", "created": seconds(NOON)}

    assert digest(created) == digest(updated()) == digest(later)


def test_change_of_what_is_not_read_follows_the_same_content():
    sent = updated({"latest_invoice": "in_0", "metadata": {"a": "b"}})

    assert follows(sent) == digest(sent)


def test_part_of_an_object_that_was_before_is_put_back_into_it():
    pause = {"behavior": "void", "resumes_at": seconds(NOON)}

    sent = updated({"pause_collection": {"behavior": "keep_as_draft"}}, pause_collection=pause)

    assert follows(sent) == digest(updated(pause_collection=pause | {"behavior": "keep_as_draft"}))


@pytest.mark.parametrize("previous", [None, {"status": 7}, {"customer": None}])
def test_what_is_not_told_is_not_followed(previous: Any):
    sent = event("customer.subscription.updated", subscription(), previous)

    assert follows(sent) is None


def test_numbers_of_an_object_stay_as_they_are_written():
    sent = msgspec.json.encode(event("coupon.created", coupon()))
    body = sent.replace(b'"percent_off":20.0', b'"percent_off":33.333333333333333333330')

    (stamped,) = taken(body).stamped

    assert b'"percent_off":33.333333333333333333330' in stamped.payload


def test_what_people_write_is_left_out_on_every_level():
    noted = {"metadata": {"for": "ada@example.com"}, "description": "Ada"}
    held = discount(source={"coupon": coupon(**noted), "type": "coupon"})

    found = fact(event("customer.discount.created", held))

    assert not {"metadata", "description"} & found["object"]["source"]["coupon"].keys()
