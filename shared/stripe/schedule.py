"""A subscription schedule of Stripe's: what its last phase will make of the subscription.

Phases only name prices and coupons: who reads one brings what is known of these.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from shared.events.refusals import EventRefused
from shared.stripe.discounts import Coupon, Discount
from shared.stripe.fields import Reference, Seconds, Text, id_of, instant
from shared.stripe.prices import Price, TaxRate
from shared.stripe.subscription import AutomaticTax, Item, Items, Subscription, state

OPEN = frozenset({"not_started", "active"})  # any other has ended, and changes nothing more
CANCEL = "cancel"  # the subscription at the end; else it goes on as in the last phase
FOREVER = "forever"

PriceOf = Callable[[str], Price | None]
CouponOf = Callable[[str], Coupon | None]


class ObjectUnknown(EventRefused):
    """A phase names a price or a coupon that nobody has told."""

    code: ClassVar[str] = "object_unknown"


class PhaseDiscount(msgspec.Struct):
    """A coupon that a phase will apply, or a discount that it takes over."""

    coupon: Reference | None = None
    discount: Reference | None = None


class PhaseItem(msgspec.Struct):
    """A line of a phase."""

    price: Reference | None = None
    plan: Reference | None = None
    quantity: int | None = None
    discounts: list[PhaseDiscount] | None = None
    tax_rates: list[str | TaxRate] | None = None


class Phase(msgspec.Struct):
    """What the subscription will be from `start_date` to before `end_date`."""

    items: list[PhaseItem]
    start_date: Seconds
    currency: str | None = None
    discounts: list[PhaseDiscount] | None = None
    default_tax_rates: list[str | TaxRate] | None = None
    automatic_tax: AutomaticTax | None = None


class Schedule(msgspec.Struct):
    """A schedule, with its phases in order of time."""

    id: Text
    status: str
    phases: list[Phase]
    customer: Reference | None = None
    subscription: Reference | None = None
    end_behavior: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still has something to do."""
        return self.status in OPEN and bool(self.phases)

    @property
    def subscribed(self) -> str:
        """The subscription; while there is none yet, the schedule stands for it."""
        return id_of(self.subscription) or self.id

    @property
    def ends_it(self) -> bool:
        """Whether the subscription ends with the schedule."""
        return self.end_behavior == CANCEL


def named(schedule: Schedule) -> set[str]:
    """Ids of the prices and coupons of the last phase."""
    phase = schedule.phases[-1]
    discounts = [*(phase.discounts or ()), *(d for i in phase.items for d in i.discounts or ())]
    ids = {id_of(item.price) or id_of(item.plan) for item in phase.items}
    return {name for name in {*ids, *(id_of(d.coupon) for d in discounts)} if name is not None}


def last_state(schedule: Schedule, price_of: PriceOf, coupon_of: CouponOf) -> dict[str, Any]:
    """The fields of a fact of the state in the last phase. Raises EventRefused."""
    phase = schedule.phases[-1]
    items = [_item(item, price_of, coupon_of) for item in phase.items]
    sent = Subscription(
        id=schedule.subscribed,
        status="active",
        customer=schedule.customer,
        currency=phase.currency,
        items=Items(items),
        discounts=_discounts(phase.discounts, coupon_of),
        default_tax_rates=phase.default_tax_rates,
        automatic_tax=phase.automatic_tax,
    )
    return state(sent, instant(phase.start_date))


def _item(item: PhaseItem, price_of: PriceOf, coupon_of: CouponOf) -> Item:
    name = id_of(item.price) or id_of(item.plan) or ""
    price = price_of(name)
    if price is None:
        raise ObjectUnknown(f"price {name!r} of a phase was not told")
    return Item(
        price=price,
        quantity=item.quantity,
        discounts=_discounts(item.discounts, coupon_of),
        tax_rates=item.tax_rates,
    )


def _discounts(
    discounts: list[PhaseDiscount] | None, coupon_of: CouponOf
) -> list[str | Discount | None]:
    """The discounts that last: one that ends is gone once all has run. Raises ObjectUnknown."""
    lasting: list[str | Discount | None] = []
    for one in discounts or ():
        if (taken_over := id_of(one.discount)) is not None:
            lasting.append(taken_over)
        elif (name := id_of(one.coupon)) is not None:
            coupon = coupon_of(name)
            if coupon is None:
                raise ObjectUnknown(f"coupon {name!r} of a phase was not told")
            if coupon.duration == FOREVER:
                lasting.append(Discount(coupon=coupon))
    return lasting
