"""Billing facts: what the revenue ledger is made of, in the one form that all sources turn into.

Amounts are exact decimals, in minor units of their currency (P17); a float is never one. What is
sent is read by `shared.events.facts`, which refuses what cannot be booked.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

NATIVE = "native"  # the source of a fact that names none

Text = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
SourceName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\s\x00]+$")]
Instant = Annotated[datetime, Meta(tz=True)]
Month = Annotated[
    str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="A month, as 2026-01.")
]


class Amount(Decimal):
    """An exact decimal, sent as a string of digits: minor units, a percentage or a rate.

    A type of its own, so that no decoder makes one of a float behind our back.
    """


class Status(StrEnum):
    """The status words of Stripe."""

    ACTIVE = "active"
    PAST_DUE = "past_due"
    TRIALING = "trialing"
    UNPAID = "unpaid"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    CANCELED = "canceled"
    PAUSED = "paused"


class Interval(StrEnum):
    """The unit of a billing period."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class TiersMode(StrEnum):
    """How tiers price a quantity: one tier for all units, or each tier for its own."""

    VOLUME = "volume"
    GRADUATED = "graduated"


class UsageType(StrEnum):
    """Whether a quantity is agreed or counted afterwards."""

    LICENSED = "licensed"
    METERED = "metered"


class TaxBehavior(StrEnum):
    """Whether tax is inside the price. `unspecified` counts as exclusive."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"
    UNSPECIFIED = "unspecified"


class DiscountKind(StrEnum):
    """What a discount takes off: a share, or an amount per billing period."""

    PERCENT = "percent"
    AMOUNT = "amount"


class Duration(StrEnum):
    """How long a discount lasts."""

    ONCE = "once"
    REPEATING = "repeating"
    FOREVER = "forever"


class PauseBehavior(StrEnum):
    """What becomes of the invoices of a paused collection."""

    VOID = "void"
    MARK_UNCOLLECTIBLE = "mark_uncollectible"
    KEEP_AS_DRAFT = "keep_as_draft"


class Rounding(StrEnum):
    """Which way a divided quantity is rounded."""

    UP = "up"
    DOWN = "down"


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a fact. Fields that are not known here are allowed and not read."""


class ObjectName(_Part, frozen=True, kw_only=True):
    """An object that its provider only named; a `provider_object` fact tells what it is."""

    object_id: Text


class Tier(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """Prices of the units up to and including `up_to`; None has no upper end."""

    up_to: Annotated[int, Meta(ge=1)] | None = None
    unit_amount: Amount | None = None
    flat_amount: Amount | None = None


class TransformQuantity(_Part, frozen=True, kw_only=True):
    """The quantity is divided and rounded before it is priced."""

    divide_by: Annotated[int, Meta(ge=1)]
    round: Rounding


class Discount(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A discount, in force from `start` to before `end` (None: unbounded).

    Either `object_id` alone, of a discount that its provider only named, or `kind`, `value`
    (percent, or minor units of the subscription's currency) and `duration`.
    `products`: it takes only from items of these; None takes from all.
    """

    kind: DiscountKind | None = None
    value: Amount | None = None
    duration: Duration | None = None
    start: Instant | None = None
    end: Instant | None = None
    products: tuple[Text, ...] | None = None
    object_id: Text | None = None


class Item(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a subscription: a price, how often it is due, and how many units.

    Priced by `unit_amount` or by `tiers`. `quantity` is absent only where it is metered.
    """

    price: Text
    interval: Interval
    interval_count: Annotated[int, Meta(ge=1)] = 1
    quantity: Annotated[int, Meta(ge=0)] | None = None
    unit_amount: Amount | None = None
    tiers: tuple[Tier, ...] | ObjectName | None = None
    tiers_mode: TiersMode | None = None
    usage_type: UsageType = UsageType.LICENSED
    transform_quantity: TransformQuantity | None = None
    tax_behavior: TaxBehavior | None = None
    tax_percent: Amount | None = None
    discounts: tuple[Discount, ...] = ()
    product: Text | None = None


def units_of(item: Item) -> int:
    """The quantity that is priced: divided and rounded first where the price says so (P07)."""
    quantity = item.quantity or 0
    transform = item.transform_quantity
    if transform is None:
        return quantity
    if transform.round is Rounding.UP:
        return -(-quantity // transform.divide_by)
    return quantity // transform.divide_by


class Pause(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A paused collection; with `resumes_at` it ends by itself."""

    behavior: PauseBehavior
    resumes_at: Instant | None = None


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every fact says. (source, id) is its identity, `effective_at` when it came true.

    `recorded_at` is when it was learned: given by who migrates, else set by the ledger.
    """

    id: Text
    source: SourceName = NATIVE
    recorded_at: Instant | None = None
    effective_at: Instant | None = None


class SubscriptionState(
    Fact, frozen=True, kw_only=True, omit_defaults=True, tag="subscription_state"
):
    """A full snapshot of a subscription, true from `effective_at` until the next one.

    Two of one instant are told apart by `seq`, the later having the higher; of equal ones, the one
    that `follows` the other by its `digest` is the later.
    """

    effective_at: Instant
    account: Text
    subscription: Text
    status: Status
    currency: str
    items: tuple[Item, ...]
    discounts: tuple[Discount, ...] = ()
    pause: Pause | None = None
    ends_at: Instant | None = None
    seq: int = 0
    digest: (
        Annotated[str, Meta(max_length=128, description="Stands for its content at its source.")]
        | None
    ) = None
    follows: (
        Annotated[str, Meta(max_length=128, description="Digest of the state that it replaced.")]
        | None
    ) = None


class FxRate(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="fx_rate"):
    """One major unit of `currency` in major units of the reporting currency, for a month."""

    currency: str
    month: Month
    rate: Amount


class Void(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="void"):
    """The fact `target` of the same source counts no more from when this is recorded."""

    target: Text


class SalesAndMarketing(
    Fact, frozen=True, kw_only=True, omit_defaults=True, tag="sales_and_marketing"
):
    """What was spent in a month, in minor units of the reporting currency."""

    month: Month
    amount: Amount


class ProviderObject(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="provider_object"):
    """A provider's object as it was looked up: a price with its tiers, a discount, a coupon."""

    object_id: Text
    object: dict[str, Any]


class AcquisitionCost(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="acquisition_cost"):
    """What it cost to win an account, in minor units of the reporting currency."""

    account: Text
    amount: Amount


class NpsResponse(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="nps_response"):
    """An answer from 0 to 10 to "would you recommend us"."""

    effective_at: Instant
    account: Text
    respondent: Text
    score: Annotated[int, Meta(ge=0, le=10)]


class Noise(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A fact that moves no recurring revenue (P06, P12): it is kept, and nothing else."""

    account: Text | None = None


class Refund(Noise, frozen=True, kw_only=True, omit_defaults=True, tag="refund"):
    """Money was given back."""


class CreditNote(Noise, frozen=True, kw_only=True, omit_defaults=True, tag="credit_note"):
    """An invoice was lowered after it was sent."""


class InvoiceItem(Noise, frozen=True, kw_only=True, omit_defaults=True, tag="invoice_item"):
    """A one-time line: a set-up fee, a proration."""


class Usage(Noise, frozen=True, kw_only=True, omit_defaults=True, tag="usage"):
    """Metered use was counted."""


AnyFact = (
    SubscriptionState
    | FxRate
    | Void
    | SalesAndMarketing
    | ProviderObject
    | AcquisitionCost
    | NpsResponse
    | Refund
    | CreditNote
    | InvoiceItem
    | Usage
)


def account_of(fact: AnyFact) -> str | None:
    """The account a fact speaks of; None for one of the whole workspace, or of a provider."""
    match fact:
        case SubscriptionState() | AcquisitionCost() | NpsResponse() | Noise():
            return fact.account
    return None
