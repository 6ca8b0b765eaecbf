"""What a subscription's items cost: prices, the plans of older API versions, tiers and tax."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from shared.events.refusals import EventRefused, SchemaViolation
from shared.stripe.fields import Amount, Reference, Text, exact, id_of, minor, plain

INCLUSIVE = "inclusive"
TIERED = "tiered"
FLAT = "flat_amount"


class PriceUnknown(EventRefused):
    """It is not said what a unit costs in the subscription's currency."""

    code: ClassVar[str] = "price_unknown"


class TaxUnknown(EventRefused):
    """Tax is inside the price, and it is not said how much."""

    code: ClassVar[str] = "tax_unknown"


class Tier(msgspec.Struct):
    """Prices of the units up to `up_to`; null has no end. Old plans say `amount`."""

    up_to: int | str | None = None
    unit_amount: Amount | None = None
    unit_amount_decimal: Decimal | None = None
    amount: Amount | None = None
    flat_amount: Amount | None = None
    flat_amount_decimal: Decimal | None = None


class Transform(msgspec.Struct):
    """How a quantity is divided and rounded before it is priced."""

    divide_by: int
    round: str


class Recurring(msgspec.Struct):
    """How often a price is due."""

    interval: str
    interval_count: int | None = None
    usage_type: str | None = None


class Charge(msgspec.Struct):
    """What a unit costs in one currency."""

    unit_amount: Amount | None = None
    unit_amount_decimal: Decimal | None = None
    tiers: list[Tier] | None = None
    tax_behavior: str | None = None


class Price(msgspec.Struct):
    """A price."""

    id: Text
    currency: str
    recurring: Recurring | None = None
    billing_scheme: str | None = None
    unit_amount: Amount | None = None
    unit_amount_decimal: Decimal | None = None
    tiers: list[Tier] | None = None
    tiers_mode: str | None = None
    transform_quantity: Transform | None = None
    tax_behavior: str | None = None
    product: Reference | None = None
    currency_options: dict[str, Charge] | None = None


class Plan(msgspec.Struct):
    """What stood in a price's place before there were prices."""

    id: Text
    currency: str
    interval: str
    interval_count: int | None = None
    usage_type: str | None = None
    billing_scheme: str | None = None
    amount: Amount | None = None
    amount_decimal: Decimal | None = None
    tiers: list[Tier] | None = None
    tiers_mode: str | None = None
    transform_usage: Transform | None = None
    product: Reference | None = None

    def price(self) -> Price:
        """The same as a price."""
        return Price(
            id=self.id,
            currency=self.currency,
            recurring=Recurring(self.interval, self.interval_count, self.usage_type),
            billing_scheme=self.billing_scheme,
            unit_amount=self.amount,
            unit_amount_decimal=self.amount_decimal,
            tiers=self.tiers,
            tiers_mode=self.tiers_mode,
            transform_quantity=self.transform_usage,
            product=self.product,
        )


class TaxRate(msgspec.Struct):
    """A tax, and whether it is inside the price."""

    percentage: Decimal
    inclusive: bool
    rate_type: str | None = None


def priced(price: Price, *, currency: str) -> dict[str, Any]:
    """The fields of a fact's item that its price gives, in the subscription's currency.

    Raises PriceUnknown, SchemaViolation.
    """
    if price.recurring is None:
        raise SchemaViolation(f"price {price.id} is a one-time price: it has no `recurring`")
    charge = _charge(price, currency)
    is_tiered = price.billing_scheme == TIERED or bool(charge.tiers)
    said = {
        "price": price.id,
        "product": id_of(price.product),
        "interval": price.recurring.interval,
        "interval_count": price.recurring.interval_count,
        "usage_type": price.recurring.usage_type,
        "tax_behavior": charge.tax_behavior or price.tax_behavior,
        "transform_quantity": _transform(price.transform_quantity),
        "tiers_mode": price.tiers_mode if is_tiered else None,
        "tiers": _tiers(charge.tiers, price.id, currency) if is_tiered else None,
        "unit_amount": None
        if is_tiered
        else _exact(charge.unit_amount_decimal, charge.unit_amount, currency),
    }
    return without_none(said)


def inclusive_percent(
    rates: Sequence[str | TaxRate], *, behavior: str | None, is_automatic: bool
) -> str | None:
    """Sum of the taxes that are inside a price, in percent; None where there are none.

    Raises TaxUnknown where there are some and it is not said how much.
    """
    inside = [rate for rate in rates if isinstance(rate, str) or rate.inclusive]
    if not inside:
        if is_automatic and behavior == INCLUSIVE:
            raise TaxUnknown("the price includes a tax that is computed for each invoice")
        return None
    total = Decimal(0)
    for rate in inside:
        if isinstance(rate, str):
            raise TaxUnknown(f"tax rate {rate} is only named")
        if rate.rate_type == FLAT:
            raise TaxUnknown("a tax of a flat amount is inside the price")
        total += Decimal(plain(rate.percentage))
    return plain(total)


def without_none(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in said.items() if value is not None}


def _charge(price: Price, currency: str) -> Charge:
    """What the price takes in this currency; its own amounts count in its own currency only."""
    if price.currency.lower() == currency.lower():
        return Charge(price.unit_amount, price.unit_amount_decimal, price.tiers)
    option = (price.currency_options or {}).get(currency.lower())
    if option is None:
        raise PriceUnknown(
            f"price {price.id} is told in {price.currency}, the subscription is in {currency}"
        )
    return option


def _exact(number: Decimal | None, whole: int | None, currency: str) -> str | None:
    """An amount in minor units of the currency; None where it is not told."""
    sent = exact(number, whole)
    return None if sent is None else minor(sent, currency)


def _tiers(tiers: Sequence[Tier] | None, price: str, currency: str) -> Any:
    """The tiers, or where to look them up: Stripe leaves them out unless asked."""
    if not tiers:
        return {"object_id": price}
    return [
        without_none(
            {
                "up_to": tier.up_to,
                "unit_amount": _exact(
                    tier.unit_amount_decimal,
                    tier.amount if tier.unit_amount is None else tier.unit_amount,
                    currency,
                ),
                "flat_amount": _exact(tier.flat_amount_decimal, tier.flat_amount, currency),
            }
        )
        for tier in tiers
    ]


def _transform(sent: Transform | None) -> dict[str, Any] | None:
    return None if sent is None else {"divide_by": sent.divide_by, "round": sent.round}
