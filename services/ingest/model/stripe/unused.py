"""The kinds of Stripe events that are known, and of no use here."""

from typing import ClassVar

from shared.events.refusals import EventRefused


class UnusedType(EventRefused):
    """An event of Stripe that says nothing that is kept here."""

    code: ClassVar[str] = "unused_type"


_TYPES = frozenset(
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
_FAMILIES = (
    "charge.",
    "invoice.",
    "invoice_payment.",
    "invoiceitem.",
    "payment_intent.",
    "payment_method.",
    "refund.",
    "setup_intent.",
)


def is_unused(kind: str) -> bool:
    """Whether events of this kind are known to say nothing that is kept here."""
    return kind in _TYPES or kind.startswith(_FAMILIES)
