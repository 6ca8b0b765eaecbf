"""What the customers do in the product, day by day: the same days give the same events for ever.

A day's events depend on the seed, the person, the day and the demo's first day alone. So a later
run adds the days since, and repeats the earlier ones word for word.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from deploy.demo.customers import HISTORY_WEEKS, Customer, Person, Story, drawn

SATURDAY = 5
MONDAY = 0

# Event, the feature it belongs to, how often it happens beside the others.
ACTIONS = (
    ("Dashboard Viewed", "dashboards", 30),
    ("Chart Explored", "dashboards", 16),
    ("Segment Built", "segments", 8),
    ("Report Exported", "reports", 9),
    ("Report Scheduled", "reports", 3),
    ("Funnel Opened", "funnels", 8),
    ("Retention Opened", "retention", 6),
    ("Query Run", "sql_editor", 9),
    ("Alert Created", "alerts", 3),
    ("Comment Added", "sharing", 5),
    ("Dashboard Shared", "sharing", 4),
    ("Source Connected", "data_sources", 1),
    ("Member Invited", "settings", 1),
)


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that one person did."""

    at: datetime
    account: str
    user: str
    event: str
    feature: str
    rows: int


def use(
    customers: list[Customer], first_day: date, *, since: datetime, until: datetime
) -> Iterator[Use]:
    """All use from `since` to before `until`, by time."""
    day = max(since.date(), first_day - timedelta(weeks=HISTORY_WEEKS))
    while day <= until.date():
        found = [
            event
            for customer in customers
            for event in _of_customer(customer, day, first_day)
            if since <= event.at < until
        ]
        yield from sorted(found, key=lambda event: (event.at, event.user, event.event))
        day += timedelta(days=1)


def _of_customer(customer: Customer, day: date, first_day: date) -> Iterator[Use]:
    if day < customer.signed_up_on:
        return
    random = drawn(customer.account, day)
    busy = _busyness(customer, day, random)
    level = level_of(
        customer.story,
        (first_day - day).days,
        _share(customer),
        (day - customer.signed_up_on).days,
    )
    for number, person in enumerate(customer.people):
        if _is_active(customer, number, person, day, first_day):
            yield from _of_person(customer, person, day, chance=level * busy * person.keenness)


def _share(customer: Customer) -> float:
    """A number from 0 to below 1 that differs from customer to customer: stories are no copies."""
    return drawn(customer.account, "share").random()


def level_of(story: Story, days_before: int, share: float, days_in: int) -> float:
    """How much of its usual use an account makes, `days_before` the demo's first day.

    Negative days lie after it: the stories go on as they ended. `days_in` counts from sign-up.
    """
    weeks = max(days_before, 0) / 7
    match story:
        case Story.GROWING:
            return min(1.0, 0.12 + 0.9 * math.pow(1 - weeks / HISTORY_WEEKS, 1.5))
        case Story.FADING:
            ended = 3 + 9 * share
            return min(1.0, math.pow(max(0.0, weeks - ended) / 30, 1.5))
        case Story.QUIET:
            return 0.5 if weeks > 16 + 20 * share else 0.0
        case Story.NEVER_TOOK_OFF:
            return 0.6 if days_in < 9 + 20 * share else 0.0
        case _:
            return 1.0


def _busyness(customer: Customer, day: date, random: Random) -> float:
    """Chance, 0 to 1, that a keen person uses the product on this day."""
    weekend = day.weekday() >= SATURDAY
    match customer.story:
        case Story.WEEKLY:
            own_day = int(_share(customer) * 5)
            return 0.95 if day.weekday() == own_day else 0.05 * random.random()
        case Story.MONTHLY:
            return 0.9 if _is_closing_day(day) else 0.0
        case _:
            return 0.05 if weekend else 0.9


def _is_closing_day(day: date) -> bool:
    """The first two weekdays of a month, when books are closed."""
    weekdays = [
        found for number in range(1, 6) if (found := day.replace(day=number)).weekday() < SATURDAY
    ]
    return day in weekdays[:2]


def _is_active(customer: Customer, number: int, person: Person, day: date, first_day: date) -> bool:
    """Whether the person is there on that day at all."""
    if day < person.signed_up_on:
        return False
    left = customer.story is Story.CHAMPION_LEFT and number == 0
    return not (left and day > first_day - timedelta(weeks=5))


def _of_person(customer: Customer, person: Person, day: date, *, chance: float) -> Iterator[Use]:
    random = drawn(person.user, day)
    if random.random() >= chance:
        return
    events, features, weights = zip(*ACTIONS, strict=True)
    minutes = random.randint(7 * 60, 17 * 60)
    for index in random.choices(range(len(events)), weights, k=random.choice((1, 1, 2, 2, 3, 4))):
        minutes += random.randint(1, 25)
        yield Use(
            at=datetime.combine(day, datetime.min.time(), UTC)
            + timedelta(minutes=minutes, seconds=random.randint(0, 59)),
            account=customer.account,
            user=person.user,
            event=events[index],
            feature=features[index],
            rows=random.randint(1, 5000),
        )
