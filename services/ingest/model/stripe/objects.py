"""Objects that subscriptions only name: kept, so that the ledger can look them up."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from services.ingest.model.stripe.envelope import Said, StripeEvent, without_free_text
from services.ingest.model.stripe.unused import UnusedType
from shared.stripe.discounts import Discount, told
from shared.stripe.fields import Text
from shared.stripe.prices import TIERED


class _Billed(msgspec.Struct):
    id: Text
    billing_scheme: str | None = None
    tiers: list[Raw] | None = None


def noted(event: StripeEvent) -> Said:
    """The object of the event. Raises UnusedType for a price whose tiers are left out.

    Kept, it would hide the tiers that somebody has looked up.
    """
    named = event.held(_Billed)
    if named.billing_scheme == TIERED and not named.tiers:
        raise UnusedType(f"{event.kind} leaves out the tiers of {named.id}")
    return Said((_fact(event, named.id, without_free_text(event.data.object)),))


def discount(event: StripeEvent, held: Discount) -> dict[str, Any]:
    """The fact of a discount that stands whole in another object, but for its coupon."""
    return _fact(event, str(held.id), told(held)) | {"id": f"{event.id} {held.id}"}


def _fact(event: StripeEvent, object_id: str, said: Raw | Mapping[str, Any]) -> dict[str, Any]:
    return event.identity | {
        "type": "provider_object",
        "effective_at": event.at,
        "object_id": object_id,
        "object": said,
    }
