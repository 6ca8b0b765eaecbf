"""Objects that subscriptions only name: kept, so that the ledger can look them up."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from services.ingest.model.stripe.envelope import Said, StripeEvent, without_free_text
from services.ingest.model.stripe.unused import UnusedType
from shared.stripe.discounts import Discount, told
from shared.stripe.fields import Reference, Text, id_of
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


class _Discount(msgspec.Struct):
    """Whose a discount is: the customer's itself where no subscription or invoice is named."""

    customer: Reference | None = None
    subscription: Reference | None = None
    subscription_item: Reference | None = None
    invoice: Reference | None = None
    invoice_item: Reference | None = None

    @property
    def of_customer(self) -> str | None:
        """The customer, of all of whose subscriptions it takes something off."""
        others = (self.subscription, self.subscription_item, self.invoice, self.invoice_item)
        return None if any(map(id_of, others)) else id_of(self.customer)


def discount_noted(event: StripeEvent) -> Said:
    """The discount, and where its customer has it itself, that it does."""
    return _noted_of(event, without_free_text(event.data.object))


def discount_ended(event: StripeEvent) -> Said:
    """The discount, and where its customer had it itself, that it has none any more."""
    return _noted_of(event, {"object": "discount", "deleted": True})


def _noted_of(event: StripeEvent, of_customer: Raw | Mapping[str, Any]) -> Said:
    facts = noted(event).facts
    customer = event.held(_Discount).of_customer
    if customer is None:
        return Said(facts)
    fact = _fact(event, customer, of_customer) | {"id": f"{event.id} {customer}"}
    return Said((*facts, fact))


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
