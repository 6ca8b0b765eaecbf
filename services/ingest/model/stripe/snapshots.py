"""A subscription's event into facts: the snapshot it holds, and which one that has replaced."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from services.ingest.model.stripe import objects
from services.ingest.model.stripe.envelope import Said, StripeEvent, encoded, plain_json, typed
from shared.events.refusals import EventRefused
from shared.stripe.subscription import Subscription, told_discounts

State = Callable[[Subscription, datetime], dict[str, Any]]

DIGEST_CHARACTERS = 16  # it only tells apart what happened to one subscription in one second
CREATED, UPDATED, PAUSED, DELETED = range(4)  # what comes first of one second


def reader(state: State, *, seq: int) -> Callable[[StripeEvent], Said]:
    """A reader of the subscription that the event holds whole.

    `seq` orders what happened within one second: created, updated, paused or resumed, deleted.
    """

    def read(event: StripeEvent) -> Said:
        sent = event.held(Subscription)
        said = state(sent, event.at)
        order = {"seq": seq, "digest": _digest(said)}
        if (before := _before(event, state)) is not None:
            order["follows"] = _digest(before)
        told = {one.id: one for one in told_discounts(sent)}
        discounts = (objects.discount(event, one) for one in told.values())
        return Said((event.identity | said | order, *discounts))

    return read


def _digest(said: Mapping[str, Any]) -> str:
    """What stands for a snapshot's content, whenever it was true.

    By it the ledger orders two updates of one second: the later follows the earlier.
    """
    content = {name: value for name, value in said.items() if name != "effective_at"}
    source = msgspec.json.encode(content, order="deterministic")
    return sha256(source).hexdigest()[:DIGEST_CHARACTERS]


def _before(event: StripeEvent, state: State) -> dict[str, Any] | None:
    """The snapshot that the event's one has replaced; None where the event does not tell it."""
    if event.previous is None:
        return None
    try:
        merged = _merged(plain_json(event.data.object), plain_json(event.previous))
        return state(typed(encoded(merged), Subscription), event.at)
    except EventRefused:
        return None


def _merged(now: Any, previous: Any) -> Any:
    """An object as it was: what is named is put back, an array as a whole."""
    if not (isinstance(now, dict) and isinstance(previous, dict)):
        return previous
    return now | {name: _merged(now.get(name), value) for name, value in previous.items()}
