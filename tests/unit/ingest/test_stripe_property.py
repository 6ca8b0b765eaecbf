"""Whatever comes in Stripe's name: it is read without a guess, or kept with a reason."""

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.model.signatures import InvalidSignature, check_stripe
from services.ingest.model.stripe.event import KINDS
from shared.events.facts import fact_of
from tests.unit.ingest.builders import NOON, received
from tests.unit.ingest.stripe_changes import FULL, VALUES, Changes, changed, changes_of
from tests.unit.ingest.stripe_objects import (
    SECRET,
    event,
    signature,
    taken,
)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CODES = {
    "schema_violation",
    "unknown_type",
    "unused_type",
    "missing_account",
    "items_incomplete",
    "end_unknown",
    "price_unknown",
    "tax_unknown",
    "discount_unknown",
    # Of the ledger's contract.
    "malformed",
    "float_amount",
    "bad_amount",
    "too_many_digits",
    "negative_amount",
    "bad_percent",
    "bad_rate",
    "unknown_currency",
    "bad_interval",
    "negative_quantity",
    "missing_quantity",
    "missing_price",
    "bad_tiers",
    "bad_discount",
    "end_before_start",
    "too_old",
    "too_far_ahead",
}
CHANGES = changes_of(event("customer.subscription.updated", FULL))


def numbers(value: Any) -> Iterator[Decimal]:
    """Every number within `value`, also those in texts."""
    match value:
        case dict():
            for inner in value.values():
                yield from numbers(inner)
        case list():
            for inner in value:
                yield from numbers(inner)
        case bool() | None:
            return
        case _:
            try:
                yield Decimal(str(value))
            except InvalidOperation:
                return


def said_numbers(fact: dict[str, Any]) -> Iterator[Decimal]:
    """What a fact says that makes revenue, but for tax, which is a sum."""
    for line in fact["items"]:
        yield from numbers(
            [line.get("quantity"), line.get("unit_amount"), line.get("interval_count")]
        )
        tiers = line.get("tiers") or []
        if isinstance(tiers, list):
            yield from numbers(tiers)
        yield from (
            number for one in line.get("discounts", []) for number in numbers(one.get("value"))
        )
    yield from (number for one in fact.get("discounts", []) for number in numbers(one.get("value")))


@settings(UNHURRIED, max_examples=400)
@given(kind=st.sampled_from(sorted(KINDS)), changes=CHANGES)
def test_event_changed_anywhere_is_read_or_kept_with_a_reason(kind: str, changes: Changes):
    sent = changed(event(kind, FULL, {"status": "trialing"}), changes)

    outcome = taken(json.dumps(sent).encode())

    if outcome.refused is not None:
        assert outcome.stamped == []
        assert outcome.refused.code in CODES
        return
    for stamped in outcome.stamped:
        record = received(stamped.payload, stamped.topic.name)
        assert record.envelope.partitionkey == stamped.key
        if record.topic == "ingest.billing.v1":
            fact_of(bytes(record.event.fact), received_at=NOON)


@settings(UNHURRIED, max_examples=400)
@given(
    kind=st.sampled_from(["created", "updated", "deleted"]),
    changes=CHANGES,
)
def test_no_number_of_a_fact_is_a_guess(kind: str, changes: Changes):
    sent = changed(event(f"customer.subscription.{kind}", FULL), changes)
    told = set(numbers(sent))

    outcome = taken(json.dumps(sent).encode())

    for stamped in outcome.stamped:
        fact = msgspec.json.decode(received(stamped.payload, stamped.topic.name).event.fact)
        if fact["type"] == "subscription_state":
            assert told >= set(said_numbers(fact))


@settings(UNHURRIED, max_examples=300)
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_kept_with_a_reason(body: bytes):
    outcome = taken(body)

    assert outcome.refused is not None
    assert outcome.refused.code in CODES
    assert outcome.refused.source == body


@settings(UNHURRIED, max_examples=200)
@given(
    body=st.binary(max_size=100),
    at=st.integers(min_value=0, max_value=99),
    flip=st.integers(min_value=1, max_value=255),
)
def test_signature_ends_with_any_change_of_a_byte(body: bytes, at: int, flip: int):
    signed = signature(body, SECRET)
    check_stripe(signed, body, [SECRET], now=NOON)
    place = at % max(len(body), 1)
    other = body[:place] + bytes([(body[place] if body else 0) ^ flip]) + body[place + 1 :]

    with pytest.raises(InvalidSignature):
        check_stripe(signed, other, [SECRET], now=NOON)


@given(header=st.text(max_size=80))
def test_any_header_is_no_signature(header: str):
    with pytest.raises(InvalidSignature):
        check_stripe(header, b"{}", [SECRET], now=NOON)


def test_whole_example_is_read_as_it_stands():
    (state,) = taken(msgspec.json.encode(event("customer.subscription.updated", FULL))).stamped
    fact = msgspec.json.decode(received(state.payload, state.topic.name).event.fact)

    assert [line["quantity"] for line in fact["items"]] == [17, 29, 3]
    assert set(said_numbers(fact)) <= set(numbers(FULL))
