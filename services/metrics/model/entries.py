"""An entry of the billing system's own list, as the state that its subscription is in.

It has the form of our own facts, or that in which Stripe's API returns a subscription.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from shared.events.billing import ProviderObject, SubscriptionState
from shared.events.facts import BadFact, fact_of
from shared.events.refusals import SchemaViolation
from shared.stripe import discounts
from shared.stripe.fields import SOURCE
from shared.stripe.subscription import Subscription, state, told_discounts

STRIPE_OBJECT = "subscription"  # what Stripe's subscriptions say in `object`


class Entry(NamedTuple):
    """A state, and the objects that stand whole in it where a fact can only name them."""

    state: SubscriptionState
    told: Sequence[ProviderObject] = ()


def read_entry(entry: Mapping[str, Any], at: datetime, *, name: str) -> Entry:
    """The entry, true from `at` on; `name` is its id where it has none as a fact.

    Raises EventRefused where Stripe's form leaves a number open, BadFact for what no ledger books.
    """
    _check_text(entry)
    if entry.get("object") == STRIPE_OBJECT:
        return _of_stripe(entry, at, name)
    return Entry(_state({"id": name, "effective_at": at.isoformat(), **entry}, at))


def _check_text(entry: Mapping[str, Any]) -> None:
    """Raise BadFact for what no event could carry: half a character, nesting without end."""
    try:
        msgspec.json.encode(entry)
    except (UnicodeEncodeError, RecursionError) as error:
        raise BadFact("malformed", f"an entry that cannot be stored: {error}") from error


def _of_stripe(entry: Mapping[str, Any], at: datetime, name: str) -> Entry:
    try:
        sent = msgspec.convert(entry, Subscription)
    except msgspec.ValidationError as error:
        raise SchemaViolation(f"Stripe's subscription: {error}") from error
    said = state(sent, at) | {"id": name, "source": SOURCE}
    told = [
        ProviderObject(
            id=f"{name} {one.id}",
            source=SOURCE,
            effective_at=at,
            object_id=str(one.id),
            object=discounts.told(one),
        )
        for one in told_discounts(sent)
    ]
    return Entry(_state(said, at), told)


def _state(said: Mapping[str, Any], at: datetime) -> SubscriptionState:
    fact = fact_of({**said, "type": "subscription_state"}, received_at=at)
    assert isinstance(fact, SubscriptionState)
    return fact
