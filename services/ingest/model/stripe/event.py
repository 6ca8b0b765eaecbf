"""What each kind of Stripe event means.

Order, repeats and what is missing are nobody's worry here: every event stands for itself, and the
ledger orders them by what they say.
"""

from collections.abc import Callable, Mapping

from services.ingest.model.refusals import UnknownType
from services.ingest.model.stripe import objects, payments
from services.ingest.model.stripe.envelope import Said, StripeEvent
from services.ingest.model.stripe.snapshots import CREATED, DELETED, PAUSED, UPDATED, reader
from services.ingest.model.stripe.unused import UnusedType, is_unused
from shared.stripe import subscription


def meaning(event: StripeEvent) -> Said:
    """What the event says. Raises EventRefused: UnusedType, UnknownType, or what is wrong in it."""
    read_kind = KINDS.get(event.kind)
    if read_kind is None:
        if is_unused(event.kind):
            raise UnusedType(f"{event.kind} moves nothing here")
        raise UnknownType(f"{event.kind!r:.100} is no kind of event that is read here")
    return read_kind(event)


KINDS: Mapping[str, Callable[[StripeEvent], Said]] = {
    "customer.subscription.created": reader(subscription.created, seq=CREATED),
    "customer.subscription.updated": reader(subscription.state, seq=UPDATED),
    "customer.subscription.paused": reader(subscription.state, seq=PAUSED),
    "customer.subscription.resumed": reader(subscription.state, seq=PAUSED),
    "customer.subscription.deleted": reader(subscription.deleted, seq=DELETED),
    **{
        f"{thing}.{fact}": objects.noted
        for thing in ("coupon", "price", "plan", "product")
        for fact in ("created", "updated", "deleted")
    },
    "customer.discount.created": objects.discount_noted,
    "customer.discount.updated": objects.discount_noted,
    "customer.discount.deleted": objects.discount_ended,
    **{
        f"subscription_schedule.{fact}": objects.noted
        for fact in ("created", "updated", "released", "canceled", "completed", "aborted")
    },
    "invoice.created": payments.invoice_noted,
    "invoice.finalized": payments.invoice_noted,
    "invoice.paid": payments.invoice_paid,
    "invoice.payment_failed": payments.invoice_failed,
    "invoice.overdue": payments.invoice_noted,
    "invoice.voided": payments.invoice_noted,
    "invoice.marked_uncollectible": payments.invoice_noted,
    "charge.refunded": payments.charge_refunded,
    "charge.dispute.created": payments.dispute_created,
    "credit_note.created": payments.credit_noted,
    "credit_note.updated": payments.credit_noted,
    "credit_note.voided": payments.credit_noted,
}
