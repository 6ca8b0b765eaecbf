"""From the body of a verified webhook to what goes to Kafka, or to why nothing does."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Raw

from services.ingest.model import billing, limits, standard, wire
from services.ingest.model.intake import Refused
from services.ingest.model.segment import Reception
from services.ingest.model.stripe import envelope
from services.ingest.model.stripe.envelope import Said, StripeEvent
from services.ingest.model.stripe.event import meaning
from services.ingest.model.wire import Stamped
from shared.events.base import Event, partition_key
from shared.events.facts import BadFact
from shared.events.refusals import EventRefused, SchemaViolation

NewId = Callable[[], str]


class Taken(NamedTuple):
    """What became of a webhook: all that it says, or nothing with the reason."""

    message_id: str
    stamped: list[Stamped]
    refused: Refused | None = None


_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def of_stripe(body: bytes, reception: Reception, *, new_id: NewId) -> Taken:
    """What one Stripe event becomes: its facts, under ids of this acceptance, and its payment."""
    claimed = _usable(envelope.claimed_id(body)) or new_id()
    try:
        event = envelope.read(body)
        stamped = _stamped_facts(event, meaning(event), reception, new_id)
    except (EventRefused, BadFact) as error:
        return Taken(claimed, [], Refused(0, claimed, error.code, error.message, body))
    return Taken(claimed, stamped)


def of_standard(
    body: bytes, reception: Reception, *, message_id: str, sent_at: datetime, new_id: NewId
) -> Taken:
    """What one Standard Webhook becomes; sent again, it is the same event."""
    usable = _usable(message_id) or new_id()
    try:
        if usable != message_id:
            raise SchemaViolation(f"webhook-id is longer than {limits.ID_CHARACTERS} characters")
        event = standard.read(body, sent_at=sent_at, received_at=reception.received_at)
    except EventRefused as error:
        return Taken(usable, [], Refused(0, usable, error.code, error.message, body))
    stamped = _stamped(
        event.said.event,
        reception,
        event_id=f"{reception.source} {message_id}",
        message_id=message_id,
        at=event.at,
        account=event.account,
        data=event.said.data,
    )
    return Taken(message_id, [stamped])


def _stamped_facts(
    event: StripeEvent, said: Said, reception: Reception, new_id: NewId
) -> list[Stamped]:
    """The facts, then the payment. The receipt of the event is that of the first of them."""
    provider = event.provider()
    stamped = [
        billing.stamp(
            _decode_fields(_encode(fact)),
            reception,
            acceptance=new_id(),
            may_backdate=False,
            message_id=event.id,
            provider=provider,
        )
        for fact in said.facts
    ]
    if said.payment is not None:
        payment = _stamped(
            said.payment,
            reception,
            event_id=f"{reception.source} {event.id}",
            message_id=None if stamped else event.id,
            at=event.at,
            account=said.account,
        )
        stamped.append(payment)
    return stamped


def _stamped(
    event: Event,
    reception: Reception,
    *,
    event_id: str,
    message_id: str | None,
    at: datetime,
    account: str | None,
    data: Raw | None = None,
) -> Stamped:
    key = partition_key(reception.workspace, account)
    attributes = wire.Attributes(
        event_id,
        event.type,
        key,
        at,
        subject=account,
        messageid=message_id,
        data=event if data is None else data,
    )
    payload = wire.spliced(reception.prefix, attributes)
    return Stamped(event_id, message_id or event_id, event.topic, key, payload)


def _usable(claimed: str | None) -> str | None:
    """An id that can be asked for and stored; None for another."""
    if claimed is None or "\x00" in claimed or not 0 < len(claimed) <= limits.ID_CHARACTERS:
        return None
    return claimed
