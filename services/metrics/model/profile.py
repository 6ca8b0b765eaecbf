"""What was said of an account: each field as it was told last, by event time."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.events.base import Received
from shared.events.ingest import AccountUpserted

FIELDS = (
    "name",
    "plan",
    "segment",
    "tags",
    "tier",
    "owner",
    "seller",
    "parent",
    "icp_score",
    "seats",
    "pricing_model",
    "acquisition_channel",
    "external_ids",
    "synthetic",
)
BILLING_SYSTEM = "stripe"  # the one whose customer ids are mapped to accounts (events.md 4)


def told_by(received: Received[AccountUpserted]) -> dict[str, Any]:
    """The fields that an event names."""
    event = received.event
    told = {
        field: msgspec.to_builtins(value)
        for field in FIELDS
        if (value := getattr(event, field)) is not None
    }
    return {**told, "synthetic": True} if received.envelope.synthetic else told


def customer_in(told: Mapping[str, Any]) -> str | None:
    """The account's id in the billing system, if an event tells one."""
    ids = told.get("external_ids")
    return ids.get(BILLING_SYSTEM) if isinstance(ids, Mapping) else None
