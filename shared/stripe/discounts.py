"""The discounts of a subscription or of one item: whole, or only named."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from shared.events.refusals import EventRefused
from shared.stripe.fields import Amount, Seconds, Text, instant, minor, plain
from shared.stripe.prices import without_none

REPEATING = "repeating"


class DiscountUnknown(EventRefused):
    """It is not said what a discount takes off, and nothing is named that could."""

    code: ClassVar[str] = "discount_unknown"


class AppliesTo(msgspec.Struct):
    """The products that a coupon is for."""

    products: list[str] | None = None


class AmountOff(msgspec.Struct):
    """What a coupon takes off in one currency."""

    amount_off: Amount


class Coupon(msgspec.Struct):
    """What a discount takes off, and for how long."""

    id: Text
    duration: str | None = None
    percent_off: Decimal | None = None
    amount_off: Amount | None = None
    currency: str | None = None
    currency_options: dict[str, AmountOff] | None = None
    applies_to: AppliesTo | None = None


class Source(msgspec.Struct):
    """Where the coupon stands in newer API versions."""

    coupon: str | Coupon | None = None


class Discount(msgspec.Struct):
    """A coupon as applied."""

    id: Text | None = None
    coupon: str | Coupon | None = None
    source: Source | None = None
    start: Seconds | None = None
    end: Seconds | None = None

    @property
    def applied(self) -> str | Coupon | None:
        """The coupon, or its id, wherever it stands."""
        if self.source is not None and self.source.coupon is not None:
            return self.source.coupon
        return self.coupon


def gathered(
    discounts: Sequence[str | Discount | None] | None, single: Discount | None
) -> list[str | Discount]:
    """The discounts in order; older API versions have one, whole, beside the list or instead."""
    found = [one for one in discounts or () if one is not None]
    if single is None:
        return found
    ids = [one if isinstance(one, str) else one.id for one in found]
    if single.id in ids:
        found[ids.index(single.id)] = single
        return found
    return [*found, single]


def read(discounts: Sequence[str | Discount], *, currency: str) -> list[dict[str, Any]]:
    """The discounts as a fact has them; one that is only named stands as its `object_id`.

    Raises DiscountUnknown.
    """
    return [
        {"object_id": one} if isinstance(one, str) else _read(one, currency) for one in discounts
    ]


def told(discount: Discount) -> dict[str, Any]:
    """The discount as an object that can be looked up by its id."""
    return {name: value for name, value in msgspec.to_builtins(discount).items() if value}


def _read(discount: Discount, currency: str) -> dict[str, Any]:
    start = None if discount.start is None else instant(discount.start)
    end = None if discount.end is None else instant(discount.end)
    coupon = discount.applied
    if not isinstance(coupon, Coupon):
        if discount.id is None:
            raise DiscountUnknown("a discount has neither an id nor its coupon")
        return without_none({"object_id": discount.id, "start": start, "end": end})
    if coupon.duration == REPEATING and end is None:
        raise DiscountUnknown(f"coupon {coupon.id} is repeating, and its end is not told")
    kind, value = _taken_off(coupon, currency)
    return without_none(
        {
            "kind": kind,
            "value": value,
            "duration": coupon.duration,
            "start": start,
            "end": end,
            "products": coupon.applies_to.products if coupon.applies_to is not None else None,
        }
    )


def _taken_off(coupon: Coupon, currency: str) -> tuple[str, str]:
    """Percent or amount, and how much, in the subscription's currency."""
    if coupon.percent_off is not None:
        return "percent", plain(coupon.percent_off)
    option = (coupon.currency_options or {}).get(currency.lower())
    if option is not None:
        return "amount", minor(str(option.amount_off), currency)
    if coupon.amount_off is None or (coupon.currency or "").lower() != currency.lower():
        raise DiscountUnknown(f"coupon {coupon.id} does not say what it takes off in {currency}")
    return "amount", minor(str(coupon.amount_off), currency)
