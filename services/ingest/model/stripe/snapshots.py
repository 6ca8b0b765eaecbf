"""A subscription's event into facts: the snapshot it holds, and what that has replaced."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.ingest.model.refusals import EventRefused
from services.ingest.model.stripe import objects
from services.ingest.model.stripe.envelope import Said, StripeEvent, encoded, plain_json, typed
from services.ingest.model.stripe.subscription import Subscription, told_discounts

State = Callable[[Subscription, datetime], dict[str, Any]]

CREATED, UPDATED, PAUSED, DELETED = range(4)  # what comes first of one second


def reader(state: State, *, seq: int) -> Callable[[StripeEvent], Said]:
    """A reader of the subscription that the event holds whole.

    `seq` orders what happened within one second: created, updated, paused or resumed, deleted.
    """

    def read(event: StripeEvent) -> Said:
        sent = event.held(Subscription)
        fact = event.identity | state(sent, event.at) | {"seq": seq}
        told = {one.id: one for one in told_discounts(sent)}
        facts = (fact, *(objects.discount(event, one) for one in told.values()))
        return Said(facts, before=_before(event, state))

    return read


def _before(event: StripeEvent, state: State) -> dict[str, Any] | None:
    """The snapshot that the event's one has replaced; None where the event does not tell it."""
    if event.previous is None:
        return None
    try:
        merged = _merged(plain_json(event.data.object), plain_json(event.previous))
        said = state(typed(encoded(merged), Subscription), event.at)
    except EventRefused:
        return None
    return {name: value for name, value in said.items() if name not in ("type", "effective_at")}


def _merged(now: Any, previous: Any) -> Any:
    """An object as it was: what is named is put back, an array as a whole."""
    if not (isinstance(now, dict) and isinstance(previous, dict)):
        return previous
    return now | {name: _merged(now.get(name), value) for name, value in previous.items()}
