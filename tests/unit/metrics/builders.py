"""Builders of billing facts and of the books they make; each names only what matters to a test."""

from datetime import UTC, datetime
from fractions import Fraction
from itertools import count
from typing import Any

import msgspec

from services.metrics.model import books
from services.metrics.model.books import Books
from services.metrics.model.calendar import Month
from services.metrics.model.movements import Movement, movements_of
from services.metrics.model.timeline import amounts_at
from shared.events.billing import AnyFact
from shared.events.facts import fact_of

RECEIVED_AT = datetime(2028, 1, 1, tzinfo=UTC)
_numbers = count()


def instant(text: str) -> datetime:
    """`2026-03-01` or `2026-03-01T09:30` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fact(type_: str, **fields: Any) -> AnyFact:
    """A fact, recorded at its instant unless said otherwise; dates are instants in UTC."""
    said = {"id": f"f{next(_numbers):04}", "type": type_, **fields}
    for name in ("effective_at", "recorded_at", "ends_at"):
        if isinstance(said.get(name), str):
            said[name] = instant(said[name]).isoformat()
    said.setdefault("recorded_at", said.get("effective_at", "2026-01-01T00:00:00Z"))
    return fact_of(msgspec.json.encode(said), received_at=RECEIVED_AT)


def item(
    unit_amount: str | None = "100", quantity: int | None = 1, **fields: Any
) -> dict[str, Any]:
    """A licensed item of one unit at 100 a month."""
    made = {"price": "p", "interval": "month", "quantity": quantity, "unit_amount": unit_amount}
    return made | fields


def state(
    at: str,
    mrr: str = "100",
    *,
    account: str = "acme",
    subscription: str = "s1",
    status: str = "active",
    currency: str = "KRW",
    items: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> AnyFact:
    """A snapshot of a subscription worth `mrr` a month."""
    return fact(
        "subscription_state",
        effective_at=at,
        account=account,
        subscription=subscription,
        status=status,
        currency=currency,
        items=[item(mrr)] if items is None else items,
        **fields,
    )


def void(target: AnyFact, recorded_at: str = "2026-06-01") -> AnyFact:
    """What removes `target`."""
    return fact("void", target=target.id, source=target.source, recorded_at=recorded_at)


def rate(month: str, rate_: str, currency: str = "USD", **fields: Any) -> AnyFact:
    """A rate of a month."""
    return fact("fx_rate", month=month, rate=rate_, currency=currency, **fields)


def discount(value: str, kind: str = "percent", duration: str = "forever", **fields: Any) -> Any:
    """A discount; `start` and `end` as dates in UTC."""
    for name in ("start", "end"):
        if name in fields:
            fields[name] = instant(fields[name]).isoformat()
    return {"kind": kind, "value": value, "duration": duration, **fields}


def books_from(*facts: AnyFact, reporting: str = "KRW") -> Books:
    """The books by these facts."""
    return books.books_of(facts, reporting)


def mrr_at(at: str, *facts: AnyFact, account: str = "acme", currency: str = "KRW") -> Fraction:
    """What the account is worth at an instant, in one currency."""
    timeline = books_from(*facts).timelines[account]
    return amounts_at(timeline, instant(at)).get(currency, Fraction(0))


def movements(
    *facts: AnyFact,
    through: str = "2026-12",
    zone: str = "UTC",
    account: str = "acme",
    reporting: str = "KRW",
) -> tuple[Movement, ...]:
    """The movements of one account."""
    made = books_from(*facts, reporting=reporting)
    return movements_of(made.timelines[account], made.rates, zone, Month.of(through))


def kinds(*facts: AnyFact, **where: Any) -> list[Any]:
    """What its movements are called, and how much each is."""
    return [(str(movement.kind), movement.amount) for movement in movements(*facts, **where)]


def report(
    month: str,
    *facts: AnyFact,
    zone: str = "UTC",
    margin: str | None = None,
    reporting: str = "KRW",
) -> Any:
    """The report of one month."""
    at = Month.of(month)
    share = None if margin is None else Fraction(margin)
    return books.months_of(books_from(*facts, reporting=reporting), at, at, zone, share)[at]


def point(at: str, *facts: AnyFact) -> Any:
    """MRR and CMRR at an instant, by these facts."""
    return books.point(books_from(*facts), instant(at), "UTC")


def window(first: str, last: str, *facts: AnyFact) -> Any:
    """Retention from the start of one month to the end of another."""
    return books.window_between(books_from(*facts), Month.of(first), Month.of(last), "UTC")


def cohorts(first: str, last: str, *facts: AnyFact, margin: str | None = None) -> Any:
    """The cohorts that began in a span, by month as text."""
    share = None if margin is None else Fraction(margin)
    made = books.cohorts_of(books_from(*facts), Month.of(first), Month.of(last), "UTC", share)
    return {str(month): cohort for month, cohort in made.items()}
