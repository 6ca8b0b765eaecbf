"""What a subscription is worth per month: units, tiers, intervals, discounts, tax (P01-P08).

Amounts are exact Fractions of minor units in the subscription's currency.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from services.metrics.model.money import NOTHING, ONE
from shared.events.billing import (
    Discount,
    DiscountKind,
    Duration,
    Interval,
    Item,
    TaxBehavior,
    Tier,
    TiersMode,
    UsageType,
    units_of,
)

# Billing periods of one unit per month (P02): a year has 12 months, 52 weeks and 365 days.
PERIODS_A_MONTH = {
    Interval.DAY: Fraction(365, 12),
    Interval.WEEK: Fraction(52, 12),
    Interval.MONTH: ONE,
    Interval.YEAR: Fraction(1, 12),
}
PERCENT = 100


def subscription_mrr(
    items: Sequence[Item], discounts: Iterable[Discount], at: datetime
) -> Fraction:
    """MRR of what is in force at `at` (P01): items less their own discounts, then the
    subscription's, each in the given order (P05), net of tax (P08).
    """
    amounts = [item_mrr(item, at) for item in items]
    for discount in discounts:
        if in_force(discount, at):
            amounts = shared_discount(discount, items, amounts)
    return sum(map(net_of_tax, items, amounts), NOTHING)


def item_mrr(item: Item, at: datetime) -> Fraction:
    """An item per month after its own discounts, tax still in; metered items are 0 (P06)."""
    if item.usage_type is UsageType.METERED:
        return NOTHING
    amount, periods = period_amount(item), periods_a_month(item)
    if periods is not ONE:  # fractions are slow, and most are by the month
        amount *= periods
    for discount in item.discounts:
        if in_force(discount, at) and applies_to(discount, item):
            amount = discounted(discount, item, amount)
    return amount


def periods_a_month(item: Item) -> Fraction:
    """How many billing periods of the item a month has (P02): 1/3 for every three months."""
    periods = PERIODS_A_MONTH[item.interval]
    return periods if item.interval_count == 1 else periods / item.interval_count


def period_amount(item: Item) -> Fraction:
    """Price x quantity of one billing period, before discounts."""
    units = units_of(item)
    if item.unit_amount is not None:
        return Fraction(item.unit_amount) * units
    if isinstance(item.tiers, tuple):
        if item.tiers_mode is TiersMode.VOLUME:
            return volume_amount(item.tiers, units)
        return graduated_amount(item.tiers, units)
    return NOTHING  # tiers that are only named so far; the state lists them as unresolved


def volume_amount(tiers: Sequence[Tier], units: int) -> Fraction:
    """All units at the price of the one tier that holds their number (P07); none cost nothing."""
    if units == 0:
        return NOTHING
    tier = next(tier for tier in tiers if tier.up_to is None or units <= tier.up_to)
    return _exact(tier.unit_amount) * units + _exact(tier.flat_amount)


def graduated_amount(tiers: Sequence[Tier], units: int) -> Fraction:
    """Each tier prices the units within it; its flat fee counts once a unit is within it (P07)."""
    amount, below = NOTHING, 0
    for tier in tiers:
        if units <= below:
            break
        end = units if tier.up_to is None else min(units, tier.up_to)
        amount += _exact(tier.unit_amount) * (end - below) + _exact(tier.flat_amount)
        below = end
    return amount


def in_force(discount: Discount, at: datetime) -> bool:
    """Whether the discount lowers MRR at `at`: from start to before end, `once` never (P05)."""
    if discount.duration is Duration.ONCE or discount.kind is None:
        return False
    started = discount.start is None or discount.start <= at
    return started and (discount.end is None or at < discount.end)


def applies_to(discount: Discount, item: Item) -> bool:
    """Whether the discount takes from the item: a narrowed one only from its products."""
    return discount.products is None or item.product in discount.products


def discounted(discount: Discount, item: Item, amount: Fraction) -> Fraction:
    """`amount` a month less the item's own discount: percent multiplies, an amount is per billing
    period (P05). Never below 0.
    """
    assert discount.value is not None
    if discount.kind is DiscountKind.PERCENT:
        return amount * (PERCENT - Fraction(discount.value)) / PERCENT
    return max(NOTHING, amount - Fraction(discount.value) * periods_a_month(item))


def shared_discount(
    discount: Discount, items: Sequence[Item], amounts: Sequence[Fraction]
) -> list[Fraction]:
    """The amounts a month less a discount on the whole subscription (P05).

    An amount is shared over the items in proportion to what they are worth a month, and each share
    is spread over its item's interval. None goes below 0.
    """
    assert discount.value is not None
    taken_from = [applies_to(discount, item) for item in items]
    total = sum(
        (amount for amount, taken in zip(amounts, taken_from, strict=True) if taken), NOTHING
    )
    if total == 0:
        return list(amounts)
    lowered = list(amounts)
    for number, item in enumerate(items):
        if not taken_from[number]:
            continue
        part = amounts[number] / total
        if discount.kind is DiscountKind.PERCENT:
            lowered[number] = amounts[number] * (PERCENT - Fraction(discount.value)) / PERCENT
        else:
            off = Fraction(discount.value) * part * periods_a_month(item)
            lowered[number] = max(NOTHING, amounts[number] - off)
    return lowered


def net_of_tax(item: Item, amount: Fraction) -> Fraction:
    """The amount without the tax that an inclusive price holds (P08)."""
    if item.tax_behavior is not TaxBehavior.INCLUSIVE or not item.tax_percent:
        return amount
    return amount / (1 + Fraction(item.tax_percent) / PERCENT)


def _exact(amount: Decimal | None) -> Fraction:
    return NOTHING if amount is None else Fraction(amount)
