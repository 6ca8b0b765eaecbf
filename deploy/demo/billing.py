"""What Northwind's customers pay: a subscription each, and what became of it, as billing facts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from deploy.demo.customers import Customer, Story

CURRENCY = "KRW"  # as the demo workspace reports; it has no decimals
SEAT_PRICES = {"starter": "9000", "team": "15000", "business": "24000", "enterprise": "36000"}
SPEND_A_MONTH = "6000000"
SPEND_MONTHS = 9

# Weeks before the demo's first day, and the share of its seats that a customer then has: what
# happens to a subscription follows the story of its use.
SEATS_LATER: dict[Story, Sequence[tuple[int, float]]] = {
    Story.GROWING: ((18, 1.3), (5, 1.7)),
    Story.HEAVY: ((12, 1.2),),
    Story.FADING: ((9, 0.7),),
    Story.CHAMPION_LEFT: ((3, 0.8),),
}
PAST_DUE_WEEKS = {Story.QUIET: 2}
CANCELLED_WEEKS = {Story.NEVER_TOOK_OFF: 6}
BILLED_WEEKS = 38  # the ledger's history; older customers begin with it


def facts(company: Sequence[Customer], first_day: date) -> Iterator[dict[str, Any]]:
    """The facts of all customers and what was spent to win them; the same in every run."""
    for customer in company:
        yield from _subscription(customer, first_day)
    yield from _spend(first_day)


def paying(told: Sequence[dict[str, Any]]) -> int:
    """How many customers pay behind all these facts."""
    last = {fact["account"]: fact["status"] for fact in told if "account" in fact}
    return sum(status != "canceled" for status in last.values())


def _subscription(customer: Customer, first_day: date) -> Iterator[dict[str, Any]]:
    """Every state of one customer's subscription, in order of time."""
    began = max(customer.signed_up_on, first_day - timedelta(weeks=BILLED_WEEKS))
    yield _state(customer, began, customer.seats)
    seats = customer.seats
    for weeks, share in SEATS_LATER.get(customer.story, ()):
        seats = max(1, round(customer.seats * share))
        yield from _later(customer, began, first_day - timedelta(weeks=weeks), seats)
    if (weeks_ago := PAST_DUE_WEEKS.get(customer.story)) is not None:
        on = first_day - timedelta(weeks=weeks_ago)
        yield from _later(customer, began, on, seats, status="past_due")
    if (weeks_ago := CANCELLED_WEEKS.get(customer.story)) is not None:
        on = first_day - timedelta(weeks=weeks_ago)
        yield from _later(customer, began, on, seats, status="canceled")


def _later(
    customer: Customer, began: date, on: date, seats: int, *, status: str = "active"
) -> Iterator[dict[str, Any]]:
    """A state, unless the subscription begins after it."""
    if on > began:
        yield _state(customer, on, seats, status=status)


def _state(customer: Customer, on: date, seats: int, *, status: str = "active") -> dict[str, Any]:
    return {
        "type": "subscription_state",
        "id": f"demo-{customer.account}-{on}-{status}",
        "account": customer.account,
        "subscription": f"sub-{customer.account}",
        "effective_at": datetime.combine(on, time(9), UTC).isoformat(),
        "status": status,
        "currency": CURRENCY,
        "items": [
            {
                "price": customer.plan,
                "interval": "month",
                "quantity": seats,
                "unit_amount": SEAT_PRICES[customer.plan],
            }
        ],
    }


def _spend(first_day: date) -> Iterator[dict[str, Any]]:
    month = first_day.replace(day=1)
    for _ in range(SPEND_MONTHS):
        month = (month - timedelta(days=1)).replace(day=1)
        yield {
            "type": "sales_and_marketing",
            "id": f"demo-spend-{month:%Y-%m}",
            "month": f"{month:%Y-%m}",
            "amount": SPEND_A_MONTH,
        }
