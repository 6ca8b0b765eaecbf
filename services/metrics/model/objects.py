"""What a provider's own objects say: tiers of a price, terms of a discount (Stripe's forms).

A webhook only names them; `provider_object` facts bring what a look-up returned, in any order.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import InvalidOperation
from typing import Any, NamedTuple, TypeVar

import msgspec

from services.metrics.model.identity import name_of
from shared.events.billing import (
    Amount,
    Discount,
    DiscountKind,
    Duration,
    ProviderObject,
    Rounding,
    Tier,
    TiersMode,
    TransformQuantity,
)
from shared.stripe.fields import in_minor_units

Content = Mapping[str, Any]
T = TypeVar("T")


class Tariff(NamedTuple):
    """How a price turns units into money when it has tiers."""

    tiers: tuple[Tier, ...]
    mode: TiersMode
    transform: TransformQuantity | None


class CustomerDiscounts(NamedTuple):
    """What a customer takes off all of its subscriptions, as far as it is known."""

    known: tuple[Discount, ...] = ()
    unresolved: bool = False


@dataclass(frozen=True)
class Objects:
    """Every version of each object that is known, by the instant from which it is told."""

    versions: Mapping[str, tuple[tuple[datetime, Content], ...]]

    def at(self, object_id: str, instant: datetime) -> Content | None:
        """The object as of `instant`; a look-up came later, so else the first one known."""
        versions = self.versions.get(object_id)
        if not versions:
            return None
        told = bisect_right([since for since, _ in versions], instant)
        return versions[max(0, told - 1)][1]

    def tariff(self, price_id: str, instant: datetime) -> Tariff | None:
        """The tiers of a price; None where the price is unknown, or known without them."""
        price = self.at(price_id, instant)
        return None if price is None else _read(_tariff, price)

    def product(self, price_id: str, instant: datetime) -> str | None:
        """The product a price belongs to; None where it is unknown."""
        price = self.at(price_id, instant)
        product = None if price is None else price.get("product")
        return product if isinstance(product, str) else None

    def discount(self, object_id: str, currency: str, instant: datetime) -> Discount | None:
        """The terms of a discount, or of a coupon, in `currency`; None where they are unknown."""
        told = self.at(object_id, instant)
        return None if told is None else self.discount_in(told, currency, instant)

    def discount_in(self, told: Content, currency: str, instant: datetime) -> Discount | None:
        """The terms of a discount that is told so; None where those of its coupon are unknown."""
        coupon = self._coupon(told, instant)
        if coupon is None:
            return None
        return _read(lambda content: _discount(content, coupon, currency), told)

    def discounts_of_customer(self, customer: str, currency: str) -> CustomerDiscounts:
        """The discounts that the customer itself has had, each in force for its time."""
        versions = self.versions.get(customer)
        if not versions:
            return CustomerDiscounts()
        ends = [*(since for since, _ in versions[1:]), None]
        known: list[Discount] = []
        unresolved = False
        for (since, told), replaced_at in zip(versions, ends, strict=True):
            if told.get("deleted"):
                continue
            terms = self.discount_in(told, currency, since)
            unresolved |= terms is None
            if terms is not None:
                ended = [end for end in (terms.end, replaced_at) if end is not None]
                known.append(
                    msgspec.structs.replace(
                        terms, start=terms.start or since, end=min(ended, default=None)
                    )
                )
        return CustomerDiscounts(tuple(known), unresolved=unresolved)

    def _coupon(self, told: Content, instant: datetime) -> Content | None:
        if "duration" in told:
            return told  # a coupon itself
        source = told.get("source")
        coupon = source.get("coupon") if isinstance(source, Mapping) else told.get("coupon")
        if isinstance(coupon, str):
            return self.at(coupon, instant)
        return coupon if isinstance(coupon, Mapping) else None


NO_OBJECTS = Objects({})


def objects_of(facts: Iterable[ProviderObject]) -> Objects:
    """The objects that the facts tell of; one without instant was true when it was recorded."""
    versions: dict[str, list[tuple[datetime, Content]]] = {}
    for fact in sorted(facts, key=lambda fact: (_told_at(fact), name_of(fact))):
        versions.setdefault(fact.object_id, []).append((_told_at(fact), fact.object))
    return Objects({object_id: tuple(known) for object_id, known in versions.items()})


def _told_at(fact: ProviderObject) -> datetime:
    told_at = fact.effective_at or fact.recorded_at
    assert told_at is not None, f"{fact.id} was never recorded"
    return told_at


def _read(reading: Callable[[Content], T], content: Content) -> T | None:
    """What `reading` makes of the object; None for one that does not have the provider's form."""
    try:
        return reading(content)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
        return None


def _tariff(price: Content) -> Tariff | None:
    if not price.get("tiers"):
        return None
    currency = str(price.get("currency", ""))
    tiers = tuple(
        Tier(
            up_to=None if tier.get("up_to") in (None, "inf") else int(tier["up_to"]),
            unit_amount=_money(tier, "unit_amount", currency),
            flat_amount=_money(tier, "flat_amount", currency),
        )
        for tier in price["tiers"]
    )
    if tiers[-1].up_to is not None:
        return None  # as long as a quantity could lie beyond it, it is no full tariff
    return Tariff(tiers, TiersMode(price["tiers_mode"]), _transform(price))


def _transform(price: Content) -> TransformQuantity | None:
    said = price.get("transform_quantity")
    if said is None:
        return None
    return TransformQuantity(divide_by=int(said["divide_by"]), round=Rounding(said["round"]))


def _discount(told: Content, coupon: Content, currency: str) -> Discount | None:
    value = _decimal(coupon, "percent_off")
    kind = DiscountKind.PERCENT
    if value is None:
        kind, value = DiscountKind.AMOUNT, _amount_off(coupon, currency)
    if value is None:
        return None
    applies_to = coupon.get("applies_to") or {}
    products = applies_to.get("products")
    return Discount(
        kind=kind,
        value=value,
        duration=Duration(coupon["duration"]),
        start=_instant(told.get("start")),
        end=_instant(told.get("end")),
        products=None if products is None else tuple(products),
    )


def _amount_off(coupon: Content, currency: str) -> Amount | None:
    """What the coupon takes off in `currency`, minor units; None where it has no such amount."""
    if str(coupon.get("currency", "")).upper() == currency:
        return _money(coupon, "amount_off", currency)
    options = {str(code).upper(): option for code, option in _options(coupon).items()}
    if currency not in options:
        return None
    return _money(options[currency], "amount_off", currency)


def _options(coupon: Content) -> Content:
    options = coupon.get("currency_options")
    return options if isinstance(options, Mapping) else {}


def _money(content: Content, name: str, currency: str) -> Amount | None:
    """The exact amount in minor units of the currency."""
    sent = _decimal(content, name)
    return None if sent is None else Amount(in_minor_units(sent, currency.upper()))


def _decimal(content: Content, name: str) -> Amount | None:
    """The exact amount: `<name>_decimal` has all its digits, `name` only if it is whole."""
    said = content.get(f"{name}_decimal", content.get(name))
    if said is None:
        said = content.get(name)
    return None if said is None else Amount(str(said))


def _instant(said: Any) -> datetime | None:
    """An instant from unix seconds, or RFC 3339 text."""
    if said is None:
        return None
    if isinstance(said, str):
        return datetime.fromisoformat(said)
    return datetime.fromtimestamp(said, tz=UTC)
