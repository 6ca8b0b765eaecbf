"""A subscription of Stripe's into the fields of a `subscription_state` fact: a full snapshot."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from shared.events.refusals import EventRefused, SchemaViolation
from shared.stripe import discounts as discount_form
from shared.stripe.discounts import Discount
from shared.stripe.fields import Reference, Seconds, Text, id_of, instant
from shared.stripe.prices import (
    Plan,
    Price,
    TaxRate,
    inclusive_percent,
    priced,
    without_none,
)

CANCELED = "canceled"
ENDED = (CANCELED, "incomplete_expired")


class MissingAccount(EventRefused):
    """The object names no customer."""

    code: ClassVar[str] = "missing_account"


class ItemsIncomplete(EventRefused):
    """Only the first page of the items is here, so that the price of the rest is open."""

    code: ClassVar[str] = "items_incomplete"


class EndUnknown(EventRefused):
    """The subscription ends with its period, and it does not say when that is."""

    code: ClassVar[str] = "end_unknown"


class Item(msgspec.Struct):
    """A line of a subscription."""

    price: Price | None = None
    plan: Plan | None = None
    quantity: int | None = None
    discounts: list[str | Discount | None] | None = None
    tax_rates: list[str | TaxRate] | None = None
    current_period_end: Seconds | None = None


class Items(msgspec.Struct):
    """A page of items."""

    data: list[Item]
    has_more: bool = False
    total_count: int | None = None


class PauseCollection(msgspec.Struct):
    """What becomes of invoices for a while."""

    behavior: str
    resumes_at: Seconds | None = None


class AutomaticTax(msgspec.Struct):
    """Whether Stripe computes the tax of each invoice."""

    enabled: bool = False


class Subscription(msgspec.Struct):
    """A subscription. What moved between API versions is accepted in each of its places."""

    id: Text
    status: str
    customer: Reference | None = None
    customer_account: str | None = None
    currency: str | None = None
    start_date: Seconds | None = None
    start: Seconds | None = None
    ended_at: Seconds | None = None
    cancel_at: Seconds | None = None
    cancel_at_period_end: bool | None = None
    current_period_end: Seconds | None = None
    pause_collection: PauseCollection | None = None
    items: Items | None = None
    plan: Plan | None = None
    quantity: int | None = None
    discount: Discount | None = None
    discounts: list[str | Discount | None] | None = None
    default_tax_rates: list[str | TaxRate] | None = None
    automatic_tax: AutomaticTax | None = None


def account_of(customer: Reference | None, customer_account: str | None = None) -> str:
    """The account that a customer is, as long as nobody maps it. Raises MissingAccount."""
    account = id_of(customer) or customer_account
    if not account:
        raise MissingAccount("the object names no customer")
    return account


def created(sent: Subscription, at: datetime) -> dict[str, Any]:
    """The state that began with the subscription: at its start date where that lies before."""
    start = sent.start_date if sent.start_date is not None else sent.start
    return state(sent, at if start is None else min(at, instant(start)))


def deleted(sent: Subscription, at: datetime) -> dict[str, Any]:
    """The state of an ended subscription, from `ended_at` on: `canceled_at` is only the request."""
    ended_at = at if sent.ended_at is None else instant(sent.ended_at)
    return state(sent, ended_at) | {
        "status": sent.status if sent.status in ENDED else CANCELED,
    }


def state(sent: Subscription, at: datetime) -> dict[str, Any]:
    """The snapshot, true from `at` on. Raises EventRefused where it leaves a number open."""
    lines = _lines(sent)
    currency = _currency(sent, lines)
    gathered = discount_form.gathered(sent.discounts, sent.discount)
    said = {
        "type": "subscription_state",
        "effective_at": at,
        "account": account_of(sent.customer, sent.customer_account),
        "subscription": sent.id,
        "status": sent.status,
        "currency": currency.upper(),
        "items": [_item(line, price, sent, currency) for line, price in lines],
        "discounts": discount_form.read(gathered, currency=currency) or None,
        "pause": _pause(sent.pause_collection),
        "ends_at": _ends_at(sent, [line for line, _ in lines]),
    }
    return without_none(said)


def told_discounts(sent: Subscription) -> list[Discount]:
    """The discounts that it holds whole, but for their coupon, which it only names."""
    lines = sent.items.data if sent.items is not None else []
    held = [
        *discount_form.gathered(sent.discounts, sent.discount),
        *(one for line in lines for one in discount_form.gathered(line.discounts, None)),
    ]
    return [
        one
        for one in held
        if isinstance(one, Discount) and one.id is not None and isinstance(one.applied, str)
    ]


def _lines(sent: Subscription) -> list[tuple[Item, Price]]:
    """Each item with its price; a subscription of before there were items is one itself."""
    if sent.items is None:
        if sent.plan is None:
            raise SchemaViolation(f"subscription {sent.id} has no items")
        return [(Item(quantity=sent.quantity), sent.plan.price())]
    page = sent.items
    if page.has_more or (page.total_count or 0) > len(page.data):
        raise ItemsIncomplete(
            f"only the first {len(page.data)} items of subscription {sent.id} are here: say its"
            " whole state as a fact of /v1/billing does"
        )
    return [(item, _price(item, sent.id)) for item in page.data]


def _price(item: Item, subscription: str) -> Price:
    if item.price is not None:
        return item.price
    if item.plan is None:
        raise SchemaViolation(f"subscription {subscription} has an item without a price")
    return item.plan.price()


def _currency(sent: Subscription, lines: Sequence[tuple[Item, Price]]) -> str:
    """The subscription's own currency; in older API versions that of all its prices."""
    if sent.currency is not None:
        return sent.currency
    currencies = {price.currency for _, price in lines}
    if len(currencies) != 1:
        raise SchemaViolation(f"subscription {sent.id} names no currency, its prices {currencies}")
    return currencies.pop()


def _item(line: Item, price: Price, sent: Subscription, currency: str) -> dict[str, Any]:
    said = priced(price, currency=currency)
    percent = inclusive_percent(
        line.tax_rates or sent.default_tax_rates or (),
        behavior=said.get("tax_behavior"),
        is_automatic=sent.automatic_tax is not None and sent.automatic_tax.enabled,
    )
    if percent is not None:
        said |= {"tax_behavior": "inclusive", "tax_percent": percent}
    discounts = discount_form.read(discount_form.gathered(line.discounts, None), currency=currency)
    return said | without_none({"quantity": line.quantity, "discounts": discounts or None})


def _pause(sent: PauseCollection | None) -> dict[str, Any] | None:
    if sent is None:
        return None
    resumes_at = None if sent.resumes_at is None else instant(sent.resumes_at)
    return without_none({"behavior": sent.behavior, "resumes_at": resumes_at})


def _ends_at(sent: Subscription, lines: Sequence[Item]) -> datetime | None:
    """When it is set to end: a date, or the end of the latest period; None where nothing is set."""
    if sent.cancel_at is not None:
        return instant(sent.cancel_at)
    if not sent.cancel_at_period_end or sent.status in ENDED:
        return None
    ends = [line.current_period_end for line in lines if line.current_period_end is not None]
    if sent.current_period_end is not None:
        ends.append(sent.current_period_end)
    if not ends:
        raise EndUnknown(f"subscription {sent.id} ends with its period, which has no end here")
    return instant(max(ends))
