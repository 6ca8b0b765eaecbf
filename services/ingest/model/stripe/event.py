"""What each kind of Stripe event means: facts for the ledger, and payments.

Order, repeats and what is missing are nobody's worry here: every event stands for itself, and the
ledger orders them by what they say.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from services.ingest.model import workspace as rules
from services.ingest.model.refusals import EventRefused, SchemaViolation, UnknownType
from services.ingest.model.stripe import subscription
from services.ingest.model.stripe.discounts import Discount
from services.ingest.model.stripe.fields import (
    Amount,
    Reference,
    Seconds,
    Text,
    id_of,
    instant,
)
from services.ingest.model.stripe.prices import TIERED
from services.ingest.model.stripe.subscription import Subscription, account_of
from shared.events.base import Event
from shared.events.ingest import (
    PaymentDisputed,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    Provider,
)

SOURCE = "stripe"
# What people write into an object may be personal; nobody reads it here.
FREE_TEXT = ("metadata", "description")


class UnusedType(EventRefused):
    """An event of Stripe that says nothing that is kept here."""

    code: ClassVar[str] = "unused_type"


class Said(NamedTuple):
    """What one event says: facts as plain JSON, and at most one payment with its account."""

    facts: tuple[dict[str, Any], ...] = ()
    before: dict[str, Any] | None = None
    """Of a changed snapshot: what it was, without identity and instant."""
    payment: Event | None = None
    account: str | None = None


class _Data(msgspec.Struct):
    object: Raw
    previous_attributes: Raw | UnsetType = UNSET


class StripeEvent(msgspec.Struct):
    """The envelope that Stripe puts round every object."""

    id: Text
    type: Text
    created: Seconds
    data: _Data
    api_version: str | None = None

    @property
    def at(self) -> datetime:
        """When Stripe made it."""
        return instant(self.created)

    def provider(self, said: Said) -> Provider:
        """What the ledger may want to know of it beside the facts."""
        return Provider(
            event_type=self.type,
            created=self.at,
            api_version=self.api_version,
            previous_attributes=_previous(self.data.previous_attributes),
            before=UNSET if said.before is None else Raw(_encode(said.before)),
        )


class _Claimed(msgspec.Struct):
    id: object = None


_decode_event = msgspec.json.Decoder(StripeEvent).decode
_decode_claimed = msgspec.json.Decoder(_Claimed).decode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def read(body: bytes) -> StripeEvent:
    """The event of a webhook's body. Raises SchemaViolation."""
    try:
        return _decode_event(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaViolation(f"this is no event of Stripe: {error}") from error


def claimed_id(body: bytes) -> str | None:
    """The id that a body says it has, also where it cannot be read otherwise."""
    try:
        claimed = _decode_claimed(body).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return claimed if isinstance(claimed, str) and claimed else None


def meaning(event: StripeEvent) -> Said:
    """What the event says. Raises EventRefused: UnusedType, UnknownType, or what is wrong in it."""
    read_kind = KINDS.get(event.type)
    if read_kind is None:
        if event.type in UNUSED or event.type.startswith(UNUSED_FAMILIES):
            raise UnusedType(f"{event.type} moves nothing here")
        raise UnknownType(f"{event.type!r:.100} is no kind of event that is read here")
    return read_kind(event)


# --- subscriptions ------------------------------------------------------------------------------

State = Callable[[Subscription, datetime], dict[str, Any]]


def _snapshot(state: State, *, seq: int) -> Callable[[StripeEvent], Said]:
    """A reader of the subscription that the event holds whole.

    `seq` orders what happened within one second: created, updated, paused or resumed, deleted.
    """

    def read_snapshot(event: StripeEvent) -> Said:
        sent = _object(event, Subscription)
        fact = _identity(event) | state(sent, event.at) | {"seq": seq}
        told = {one.id: one for one in subscription.told_discounts(sent)}
        facts = (fact, *(_told(event, one) for one in told.values()))
        return Said(facts, before=_snapshot_before(event, state))

    return read_snapshot


# --- objects that subscriptions name ------------------------------------------------------------


class _Billed(msgspec.Struct):
    id: Text
    billing_scheme: str | None = None
    tiers: list[Raw] | None = None


def _snapshot_before(event: StripeEvent, state: State) -> dict[str, Any] | None:
    """The snapshot that the event's one has replaced; None where the event does not tell it."""
    previous = _previous(event.data.previous_attributes)
    if not isinstance(previous, Raw):
        return None
    try:
        merged = _merged(_decode(event.data.object), _decode(previous))
        said = state(_typed(Raw(_encode(merged)), Subscription), event.at)
    except (EventRefused, msgspec.DecodeError, RecursionError):
        return None
    return {name: value for name, value in said.items() if name not in ("type", "effective_at")}


def _merged(now: Any, previous: Any) -> Any:
    """An object as it was: what is named is put back, an array as a whole."""
    if not (isinstance(now, dict) and isinstance(previous, dict)):
        return previous
    return now | {name: _merged(now.get(name), value) for name, value in previous.items()}


def _told(event: StripeEvent, discount: Discount) -> dict[str, Any]:
    """A discount that stands in a subscription whole, but for its coupon."""
    said = {name: value for name, value in msgspec.to_builtins(discount).items() if value}
    return _provider_fact(event, str(discount.id), said) | {"id": f"{event.id} {discount.id}"}


def provider_object(event: StripeEvent) -> Said:
    """The object itself, for facts that only name it."""
    named = _object(event, _Billed)
    if named.billing_scheme == TIERED and not named.tiers:
        raise UnusedType(f"{event.type} leaves out the tiers of {named.id}")
    return Said((_provider_fact(event, named.id, _without_free_text(event.data.object)),))


def _provider_fact(event: StripeEvent, object_id: str, said: Mapping[str, Any]) -> dict[str, Any]:
    return _identity(event) | {
        "type": "provider_object",
        "effective_at": event.at,
        "object_id": object_id,
        "object": said,
    }


# --- invoices, charges, credit notes: no movement ------------------------------------------------


class Invoice(msgspec.Struct):
    """An invoice."""

    id: Text
    currency: Text
    customer: Reference | None = None
    customer_account: str | None = None
    amount_due: Amount = 0
    amount_paid: Amount = 0
    attempt_count: int | None = None


class Charge(msgspec.Struct):
    """A charge."""

    id: Text
    currency: Text
    customer: Reference | None = None
    invoice: Reference | None = None
    amount_refunded: Amount = 0


class _ChargeBefore(msgspec.Struct):
    amount_refunded: Amount = 0


class Dispute(msgspec.Struct):
    """A dispute: the customer's bank asks a charge back."""

    id: Text
    currency: Text
    amount: Amount
    charge: Reference | None = None
    reason: str | None = None


class CreditNote(msgspec.Struct):
    """A credit note."""

    id: Text
    currency: Text
    customer: Reference | None = None
    customer_account: str | None = None
    invoice: Reference | None = None
    amount: Amount = 0


def invoice_noted(event: StripeEvent) -> Said:
    """An invoice changed: noise for the ledger."""
    return _invoice_said(event, _object(event, Invoice))


def invoice_paid(event: StripeEvent) -> Said:
    """An invoice was paid; one over nothing is no payment."""
    sent = _object(event, Invoice)
    said = _invoice_said(event, sent)
    if sent.amount_paid <= 0:
        return said
    return said._replace(payment=_invoice_payment(PaymentSucceeded, sent, sent.amount_paid))


def invoice_failed(event: StripeEvent) -> Said:
    """An invoice could not be collected."""
    sent = _object(event, Invoice)
    said = _invoice_said(event, sent)
    if sent.amount_due <= 0:
        return said
    return said._replace(payment=_invoice_payment(PaymentFailed, sent, sent.amount_due))


def charge_refunded(event: StripeEvent) -> Said:
    """Money went back: how much this time, as the sum before tells."""
    sent = _object(event, Charge)
    account = account_of(sent.customer)
    amount = sent.amount_refunded - _before(event).amount_refunded
    fact = _noise(event, "refund", account, amount=amount, currency=sent.currency, object=sent.id)
    if amount <= 0:
        return Said((fact,), account=account)
    payment = PaymentRefunded(
        payment=sent.id,
        amount=str(amount),
        currency=_currency(sent.currency),
        invoice=id_of(sent.invoice),
    )
    return Said((fact,), payment=payment, account=account)


def dispute_created(event: StripeEvent) -> Said:
    """A bank asks a charge back; of which account is not said."""
    sent = _object(event, Dispute)
    payment = PaymentDisputed(
        payment=id_of(sent.charge) or sent.id,
        amount=str(max(sent.amount, 0)),
        currency=_currency(sent.currency),
        reason=sent.reason,
    )
    return Said(payment=payment)


def credit_noted(event: StripeEvent) -> Said:
    """An invoice was lowered after it was sent: noise for the ledger."""
    sent = _object(event, CreditNote)
    account = account_of(sent.customer, sent.customer_account)
    return Said(
        (
            _noise(
                event,
                "credit_note",
                account,
                amount=sent.amount,
                currency=sent.currency,
                object=sent.id,
            ),
        ),
        account=account,
    )


def _invoice_said(event: StripeEvent, sent: Invoice) -> Said:
    account = account_of(sent.customer, sent.customer_account)
    fact = _noise(
        event,
        "invoice_item",
        account,
        amount=sent.amount_due,
        currency=sent.currency,
        object=sent.id,
    )
    return Said((fact,), account=account)


def _invoice_payment(
    kind: type[PaymentSucceeded | PaymentFailed], sent: Invoice, amount: int
) -> Event:
    attempt = sent.attempt_count
    return kind(
        payment=sent.id,
        amount=str(amount),
        currency=_currency(sent.currency),
        invoice=sent.id,
        attempt=attempt if attempt is not None and attempt > 0 else None,
    )


def _noise(
    event: StripeEvent,
    kind: str,
    account: str,
    *,
    amount: int,
    currency: str,
    object: str,  # noqa: A002
) -> dict[str, Any]:
    return _identity(event) | {
        "type": kind,
        "effective_at": event.at,
        "account": account,
        "object_id": object,
        "event_type": event.type,
        "amount": str(amount),
        "currency": currency.upper(),
    }


def _before(event: StripeEvent) -> _ChargeBefore:
    previous = _previous(event.data.previous_attributes)
    return _typed(previous, _ChargeBefore) if isinstance(previous, Raw) else _ChargeBefore()


# --- the table ----------------------------------------------------------------------------------

CREATED, UPDATED, PAUSED, DELETED = range(4)  # what comes first of one second

KINDS: Mapping[str, Callable[[StripeEvent], Said]] = {
    "customer.subscription.created": _snapshot(subscription.created, seq=CREATED),
    "customer.subscription.updated": _snapshot(subscription.state, seq=UPDATED),
    "customer.subscription.paused": _snapshot(subscription.state, seq=PAUSED),
    "customer.subscription.resumed": _snapshot(subscription.state, seq=PAUSED),
    "customer.subscription.deleted": _snapshot(subscription.deleted, seq=DELETED),
    **{
        f"{thing}.{fact}": provider_object
        for thing in ("customer.discount", "coupon", "price", "plan", "product")
        for fact in ("created", "updated", "deleted")
    },
    **{
        f"subscription_schedule.{fact}": provider_object
        for fact in ("created", "updated", "released", "canceled", "completed", "aborted")
    },
    "invoice.created": invoice_noted,
    "invoice.finalized": invoice_noted,
    "invoice.paid": invoice_paid,
    "invoice.payment_failed": invoice_failed,
    "invoice.overdue": invoice_noted,
    "invoice.voided": invoice_noted,
    "invoice.marked_uncollectible": invoice_noted,
    "charge.refunded": charge_refunded,
    "charge.dispute.created": dispute_created,
    "credit_note.created": credit_noted,
    "credit_note.updated": credit_noted,
    "credit_note.voided": credit_noted,
}
UNUSED = frozenset(
    {
        # Of a payment that invoice.paid tells too.
        "invoice.payment_succeeded",
        # Not in force before its invoice is paid, which an update then tells.
        "customer.subscription.pending_update_applied",
        "customer.subscription.pending_update_expired",
        "customer.subscription.trial_will_end",
        "subscription_schedule.expiring",
        "customer.created",
        "customer.updated",
        "customer.deleted",
    }
)
UNUSED_FAMILIES = ("charge.", "invoice.", "payment_intent.", "payment_method.", "setup_intent.")


# --- parts --------------------------------------------------------------------------------------


def _identity(event: StripeEvent) -> dict[str, Any]:
    return {"id": event.id, "source": SOURCE}


T = TypeVar("T")


def _object(event: StripeEvent, form: type[T]) -> T:
    return _typed(event.data.object, form)


def _typed(part: Raw, form: type[T]) -> T:
    try:
        return msgspec.json.decode(part, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaViolation(f"the event's object: {error}") from error


def _without_free_text(part: Raw) -> dict[str, Raw]:
    """The members of an object but those in which people write what they like."""
    try:
        fields = _decode_fields(part)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaViolation(f"the event's object: {error}") from error
    return {name: value for name, value in fields.items() if name not in FREE_TEXT}


def _previous(sent: Raw | UnsetType) -> Raw | UnsetType:
    if not isinstance(sent, Raw) or bytes(sent) == b"null":
        return UNSET
    return Raw(_encode(_without_free_text(sent)))


def _currency(sent: str) -> str:
    """The currency in upper case. Raises SchemaViolation for none of ISO 4217."""
    try:
        return rules.currency(sent)
    except ValueError as error:
        raise SchemaViolation(str(error)) from error
