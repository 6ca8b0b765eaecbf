"""Stripe's objects and events as its API has them; a builder names only what matters."""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import msgspec

from services.ingest.model import webhooks
from services.ingest.model.segment import Reception
from services.ingest.model.webhooks import Taken
from shared.events.base import Received
from tests.unit.ingest.builders import NOON, received

SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM="


def seconds(at: datetime) -> int:
    """As Stripe tells instants."""
    return int(at.timestamp())


CREATED = NOON - timedelta(minutes=1)
PERIOD_END = NOON + timedelta(days=30)


def price(**fields: Any) -> dict[str, Any]:
    """A monthly price of 33,000 won a unit."""
    return {
        "id": "price_1",
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": seconds(CREATED),
        "currency": "krw",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": "prod_1",
        "recurring": recurring(),
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": 33000,
        "unit_amount_decimal": "33000",
        **fields,
    }


def recurring(**fields: Any) -> dict[str, Any]:
    """Every month, licensed."""
    return {
        "interval": "month",
        "interval_count": 1,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
        **fields,
    }


def plan(**fields: Any) -> dict[str, Any]:
    """What stood in a price's place before 2020."""
    return {
        "id": "plan_1",
        "object": "plan",
        "amount": 33000,
        "amount_decimal": "33000",
        "billing_scheme": "per_unit",
        "currency": "krw",
        "interval": "month",
        "interval_count": 1,
        "product": "prod_1",
        "tiers_mode": None,
        "transform_usage": None,
        "usage_type": "licensed",
        **fields,
    }


def item(**fields: Any) -> dict[str, Any]:
    """Two units of the usual price."""
    return {
        "id": "si_1",
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": seconds(CREATED),
        "current_period_end": seconds(PERIOD_END),
        "current_period_start": seconds(CREATED),
        "discounts": [],
        "metadata": {},
        "price": price(),
        "quantity": 2,
        "subscription": "sub_1",
        "tax_rates": [],
        **fields,
    }


def items(*held: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A page of items, the only one."""
    return {
        "object": "list",
        "data": list(held),
        "has_more": False,
        "total_count": len(held),
        "url": "/v1/subscription_items?subscription=sub_1",
        **fields,
    }


def coupon(**fields: Any) -> dict[str, Any]:
    """A fifth off, for ever."""
    return {
        "id": "co_1",
        "object": "coupon",
        "amount_off": None,
        "currency": None,
        "duration": "forever",
        "duration_in_months": None,
        "percent_off": 20.0,
        "valid": True,
        **fields,
    }


def discount(**fields: Any) -> dict[str, Any]:
    """A coupon as applied, in the form of today."""
    return {
        "id": "di_1",
        "object": "discount",
        "customer": "cus_1",
        "end": None,
        "source": {"coupon": coupon(), "type": "coupon"},
        "start": seconds(CREATED),
        "subscription": "sub_1",
        **fields,
    }


def tax_rate(percentage: float, *, inclusive: bool) -> dict[str, Any]:
    """A tax rate."""
    return {
        "id": "txr_1",
        "object": "tax_rate",
        "inclusive": inclusive,
        "percentage": percentage,
        "effective_percentage": percentage,
    }


def subscription(**fields: Any) -> dict[str, Any]:
    """An active subscription to two units."""
    return {
        "id": "sub_1",
        "object": "subscription",
        "application": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": seconds(CREATED),
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "collection_method": "charge_automatically",
        "created": seconds(CREATED),
        "currency": "krw",
        "customer": "cus_1",
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "items": items(item()),
        "latest_invoice": "in_1",
        "livemode": False,
        "metadata": {"note": "written by people"},
        "pause_collection": None,
        "pending_update": None,
        "schedule": None,
        "start_date": seconds(CREATED),
        "status": "active",
        "trial_end": None,
        "trial_start": None,
        **fields,
    }


def event(
    kind: str, held: Mapping[str, Any], previous: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """An event about an object."""
    before = {} if previous is None else {"previous_attributes": previous}
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-06-24.dahlia",
        "created": seconds(CREATED),
        "data": {"object": held, **before},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": None},
        "type": kind,
        **fields,
    }


def updated(previous: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """An update of the usual subscription; `fields` replace its own."""
    return event("customer.subscription.updated", subscription(**fields), previous or {})


def taken(sent: Mapping[str, Any] | bytes) -> Taken:
    """What a verified webhook becomes, received at NOON."""
    body = sent if isinstance(sent, bytes) else msgspec.json.encode(sent)
    reception = Reception(workspace="acme", source="stripe", received_at=NOON, dialect="stripe")
    numbers = count(1)
    return webhooks.of_stripe(body, reception, new_id=lambda: f"given-{next(numbers)}")


def records(sent: Mapping[str, Any]) -> list[Received[Any]]:
    """What consumers read of a webhook, all of it accepted."""
    outcome = taken(sent)
    assert outcome.refused is None, outcome.refused
    return [received(one.payload, one.topic.name) for one in outcome.stamped]


def facts(sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts that a webhook states."""
    return [
        msgspec.json.decode(record.event.fact)
        for record in records(sent)
        if record.topic == "ingest.billing.v1"
    ]


def fact(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The one fact that a webhook states."""
    (found,) = facts(sent)
    return found


def fact_item(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The one item of the one fact."""
    (found,) = fact(sent)["items"]
    assert isinstance(found, dict)
    return found


def refusal(sent: Mapping[str, Any] | bytes) -> str:
    """The code with which a webhook is kept as a dead letter."""
    outcome = taken(sent)
    assert not outcome.stamped
    assert outcome.refused is not None
    return outcome.refused.code


def signature(body: bytes, *secrets: str, at: datetime = NOON) -> str:
    """A Stripe-Signature header, as Stripe's own libraries make one for tests."""
    stamp = seconds(at)
    signed = (
        hmac.new(secret.encode(), b"%d." % stamp + body, sha256).hexdigest() for secret in secrets
    )
    return ",".join([f"t={stamp}", *(f"v1={one}" for one in signed)])
