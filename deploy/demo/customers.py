"""Who the customers of Northwind Analytics are: names, plans, people, and the story of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random

SEED = "northwind-1"
HISTORY_WEEKS = 40


class Story(StrEnum):
    """How an account uses the product, told as the weeks before the demo's first day."""

    STEADY = "steady"
    HEAVY = "heavy"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    GROWING = "growing"
    FADING = "fading"
    QUIET = "quiet"
    NEVER_TOOK_OFF = "never_took_off"
    NEW = "new"
    SINGLE_USER = "single_user"
    CHAMPION_LEFT = "champion_left"


# Names are made up; any likeness to a real company is chance.
CUSTOMERS: dict[Story, Sequence[str]] = {
    Story.STEADY: (
        "Alder & Finch",
        "Brightwater Foods",
        "Cobalt Freight",
        "Evergreen Dental",
        "Fathom Maritime",
        "Glasshouse Media",
        "Harbor Lane Hotels",
        "Inkwell Press",
        "Juniper Clinics",
        "Kestrel Robotics",
        "Lumen Optics",
    ),
    Story.HEAVY: ("Meridian Insurance", "Nordhaven Energy", "Oakline Retail Group"),
    Story.WEEKLY: (
        "Parable Books",
        "Quarry Stone Works",
        "Ridgeway Schools",
        "Saltmarsh Brewing",
        "Tandem Cycles",
        "Verdant Landscapes",
        "Wickham Legal",
    ),
    Story.MONTHLY: (
        "Xylo Instruments",
        "Yarrow Textiles",
        "Zephyr Charter",
        "Amber Hill Farms",
        "Birchwood Trust",
        "Castellan Property",
    ),
    Story.GROWING: (
        "Drift Coffee",
        "Elm Street Bakery",
        "Foxglove Cosmetics",
        "Granite Peak Outdoor",
        "Hollow Tree Games",
        "Iris Telehealth",
        "Jetty Logistics",
    ),
    Story.FADING: (
        "Kiln & Clay",
        "Larkspur Travel",
        "Mosaic Events",
        "Nimbus Couriers",
        "Orchard Payroll",
        "Pinion Bearings",
        "Quill Copywriting",
    ),
    Story.QUIET: (
        "Rook Security",
        "Sable Furniture",
        "Thistle Nurseries",
        "Upland Veterinary",
        "Vesper Audio",
    ),
    Story.NEVER_TOOK_OFF: (
        "Basalt Ceramics",
        "Copper Kettle Catering",
        "Delta Print Shop",
        "Easel Tutoring",
    ),
    Story.NEW: ("Willow Fintech", "Yonder Maps", "Zinnia Florists", "Argent Mining"),
    Story.SINGLE_USER: ("Bluebell Nursery Schools", "Cinder Pottery", "Dray Removals"),
    Story.CHAMPION_LEFT: ("Ember Fitness", "Flint Consulting", "Gable Architects"),
}

OWNERS = (
    "mina.park@northwind.example",
    "jonas.weber@northwind.example",
    "amara.okafor@northwind.example",
    "lucia.romero@northwind.example",
)
SMB, MID_MARKET, ENTERPRISE = SEGMENTS = ("SMB", "Mid-market", "Enterprise")
PLANS = {SMB: ("starter", "team"), MID_MARKET: ("team", "business"), ENTERPRISE: ("enterprise",)}
TIERS = {SMB: "standard", MID_MARKET: "important", ENTERPRISE: "most_important"}
PEOPLE = {SMB: (2, 5), MID_MARKET: (4, 8), ENTERPRISE: (9, 14)}
INDUSTRIES = ("retail", "healthcare", "logistics", "media", "manufacturing", "education", "finance")
ZONES = ("Asia/Seoul", "Europe/Berlin", "America/New_York", "Europe/London", "America/Sao_Paulo")
FIRST_NAMES = (
    "Ada",
    "Amir",
    "Anouk",
    "Bao",
    "Carla",
    "Dmitri",
    "Elena",
    "Farid",
    "Greta",
    "Hana",
    "Igor",
    "Jin",
    "Kofi",
    "Lena",
    "Mateo",
    "Nadia",
    "Omar",
    "Priya",
    "Quinn",
    "Rosa",
    "Sami",
    "Tove",
    "Uma",
    "Viktor",
    "Wren",
    "Ximena",
    "Yusuf",
    "Zoe",
)
LAST_NAMES = (
    "Abel",
    "Baptiste",
    "Cho",
    "Duarte",
    "Eriksen",
    "Fontaine",
    "Gallo",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kaya",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Oduya",
    "Petrov",
    "Quiroga",
    "Rossi",
    "Silva",
    "Tanaka",
    "Ueda",
    "Vargas",
    "Weiss",
    "Xu",
    "Yilmaz",
    "Zhang",
)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody at a customer. `keenness` is how likely they use the product on a busy day."""

    user: str
    name: str
    email: str
    role: str
    signed_up_on: date
    keenness: float


@dataclass(frozen=True, kw_only=True)
class Customer:
    """An account of Northwind Analytics."""

    account: str
    name: str
    story: Story
    plan: str
    segment: str
    tier: str
    owner: str
    industry: str
    time_zone: str
    seats: int
    signed_up_on: date
    people: Sequence[Person]


def drawn(*parts: object) -> Random:
    """Chance that comes out the same for the same parts, on every machine and for ever."""
    return Random("|".join(map(str, (SEED, *parts))))  # noqa: S311 - a story is no secret


def customers(first_day: date) -> list[Customer]:
    """All customers, as seen from `first_day`, the day on which the demo was first loaded."""
    return [
        _customer(name, story, first_day) for story, names in CUSTOMERS.items() for name in names
    ]


def _customer(name: str, story: Story, first_day: date) -> Customer:
    random = drawn(name)
    account = name.lower().replace(" & ", "-").replace(" ", "-")
    segment = _segment(story, random)
    signed_up_on = _signed_up_on(story, first_day, random)
    people = _people(account, story, segment, signed_up_on, first_day, random)
    return Customer(
        account=account,
        name=name,
        story=story,
        plan=random.choice(PLANS[segment]),
        segment=segment,
        tier=TIERS[segment],
        owner=random.choice(OWNERS),
        industry=random.choice(INDUSTRIES),
        time_zone=random.choice(ZONES),
        seats=len(people) + random.randint(0, 2 + len(people) // 2),
        signed_up_on=signed_up_on,
        people=people,
    )


def _segment(story: Story, random: Random) -> str:
    if story is Story.HEAVY:
        return ENTERPRISE
    if story in (Story.SINGLE_USER, Story.NEVER_TOOK_OFF):
        return SMB
    return random.choices(SEGMENTS, (5, 4, 1))[0]


def _signed_up_on(story: Story, first_day: date, random: Random) -> date:
    if story is Story.NEW:
        return first_day - timedelta(days=random.randint(8, 40))
    if story is Story.NEVER_TOOK_OFF:
        return first_day - timedelta(weeks=random.randint(8, 26))
    return first_day - timedelta(weeks=HISTORY_WEEKS, days=random.randint(0, 500))


def _people(
    account: str,
    story: Story,
    segment: str,
    signed_up_on: date,
    first_day: date,
    random: Random,
) -> list[Person]:
    fewest, most = PEOPLE[segment]
    count = random.randint(fewest, most)
    names = random.sample([(first, last) for first in FIRST_NAMES for last in LAST_NAMES], count)
    return [
        _person(account, number, name, story, signed_up_on, first_day, random)
        for number, name in enumerate(names)
    ]


def _person(
    account: str,
    number: int,
    name: tuple[str, str],
    story: Story,
    signed_up_on: date,
    first_day: date,
    random: Random,
) -> Person:
    first, last = name
    user = f"{first}.{last}@{account}".lower()
    joined = signed_up_on + timedelta(days=0 if number == 0 else random.randint(0, 120))
    role = ("champion", "admin")[number] if number < 2 else "user"  # noqa: PLR2004
    keenness = random.uniform(0.7, 0.95) if number == 0 else random.uniform(0.15, 0.7)
    if story is Story.SINGLE_USER and number > 0:
        keenness = 0.0
    return Person(
        user=user,
        name=f"{first} {last}",
        email=f"{first}.{last}@{account}.example".lower(),
        role=role,
        signed_up_on=min(joined, first_day - timedelta(days=3)),
        keenness=keenness,
    )
