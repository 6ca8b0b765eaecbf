"""Invoices, charges, disputes, credit notes: payments, and facts that move no recurring revenue."""

from typing import Any

import msgspec

from services.ingest.model import workspace as rules
from services.ingest.model.stripe.envelope import Said, StripeEvent, typed
from shared.events.base import Event
from shared.events.ingest import (
    PaymentDisputed,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
)
from shared.events.refusals import SchemaViolation
from shared.stripe.fields import Amount, Reference, Text, id_of, minor
from shared.stripe.subscription import account_of


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
    return _invoice_said(event, event.held(Invoice))


def invoice_paid(event: StripeEvent) -> Said:
    """An invoice was paid; one over nothing is no payment."""
    sent = event.held(Invoice)
    said = _invoice_said(event, sent)
    if sent.amount_paid <= 0:
        return said
    return said._replace(payment=_invoice_payment(PaymentSucceeded, sent, sent.amount_paid))


def invoice_failed(event: StripeEvent) -> Said:
    """An invoice could not be collected."""
    sent = event.held(Invoice)
    said = _invoice_said(event, sent)
    if sent.amount_due <= 0:
        return said
    return said._replace(payment=_invoice_payment(PaymentFailed, sent, sent.amount_due))


def charge_refunded(event: StripeEvent) -> Said:
    """Money went back: how much this time, as the sum before tells."""
    sent = event.held(Charge)
    account = account_of(sent.customer)
    amount = sent.amount_refunded - _before(event).amount_refunded
    fact = _noise(event, "refund", account, amount=amount, currency=sent.currency, object=sent.id)
    if amount <= 0:
        return Said((fact,), account=account)
    payment = PaymentRefunded(
        payment=sent.id,
        amount=minor(str(amount), sent.currency),
        currency=_currency(sent.currency),
        invoice=id_of(sent.invoice),
    )
    return Said((fact,), payment=payment, account=account)


def dispute_created(event: StripeEvent) -> Said:
    """A bank asks a charge back; of which account is not said."""
    sent = event.held(Dispute)
    payment = PaymentDisputed(
        payment=id_of(sent.charge) or sent.id,
        amount=minor(str(max(sent.amount, 0)), sent.currency),
        currency=_currency(sent.currency),
        reason=sent.reason,
    )
    return Said(payment=payment)


def credit_noted(event: StripeEvent) -> Said:
    """An invoice was lowered after it was sent: noise for the ledger."""
    sent = event.held(CreditNote)
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
        amount=minor(str(amount), sent.currency),
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
    return event.identity | {
        "type": kind,
        "effective_at": event.at,
        "account": account,
        "object_id": object,
        "event_type": event.kind,
        "amount": minor(str(amount), currency),
        "currency": currency.upper(),
    }


def _before(event: StripeEvent) -> _ChargeBefore:
    return _ChargeBefore() if event.previous is None else typed(event.previous, _ChargeBefore)


def _currency(sent: str) -> str:
    """The currency in upper case. Raises SchemaViolation for none of ISO 4217."""
    try:
        return rules.currency(sent)
    except ValueError as error:
        raise SchemaViolation(str(error)) from error
