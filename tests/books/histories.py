"""Random histories of a workspace's billing, as the JSON facts that would be sent.

Instants crowd around the ends of months and around each other, so that boundaries, simultaneous
facts and schedules that meet them are common and not lucky. A history follows from its `Random`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

# Months begin at 15:00, at 11:45, on days when clocks change, and where midnight is skipped.
ZONES = (
    "UTC",
    "Asia/Seoul",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "America/Sao_Paulo",
    "Africa/Cairo",
)
MONTHS = tuple(f"2025-{number:02}" for number in range(1, 8))
CURRENCIES = ("KRW", "KRW", "KRW", "USD", "KWD")
STATUSES = (
    *("active",) * 8,
    *("trialing", "canceled") * 2,
    *("past_due", "unpaid", "paused", "incomplete"),
)
AMOUNTS = ("0", "1", "10", "33", "99.99", "1000", "7500", "0.0001", "123456789")
TICK = timedelta(microseconds=1)
OFFSETS = (
    *(timedelta(0), timedelta(0), -TICK, TICK),
    *(timedelta(days=days, hours=5) for days in (3, 14, 14, 27)),
)
DELAYS = (
    *(timedelta(0), timedelta(0), timedelta(seconds=2)),
    *(timedelta(days=days) for days in (1, 40, 100, -40)),
)


Fact = dict[str, Any]


@dataclass(frozen=True)
class History:
    """What was sent, and the settings of the workspace it was sent to."""

    zone: str
    currency: str
    margin: str | None
    facts: tuple[Fact, ...]

    @property
    def settings(self) -> Fact:
        return {"zone": self.zone, "currency": self.currency, "margin": self.margin}


def history(random: Random) -> History:
    """A workspace's facts: up to four accounts, corrections, repeats and conflicts included."""
    zone = random.choice(ZONES)
    accounts = ("a1", "a2", "a3", "a4")[: random.randint(1, 4)]
    facts: list[Fact] = []
    for account in accounts:
        for number in range(random.choice((1, 1, 2))):
            facts += subscription(random, zone, account, f"{account}-s{number}")
    facts += [other(random, zone, accounts) for _ in range(random.randint(0, 8))]
    if one_in(random, 3):
        facts += [rate(random, month) for month in MONTHS if not one_in(random, 4)]
    facts = [{"id": f"f{number:02}", **fact} for number, fact in enumerate(facts)]
    sent = [{**fact, "recorded_at": recorded_at(random, zone, fact)} for fact in facts]
    for number in range(random.randint(0, 2)):
        target = random.choice(facts)
        void = {"id": f"v{number}", "type": "void", "target": target["id"]}
        sent.append({**void, "recorded_at": recorded_at(random, zone, target)})
    sent += [said_again(random, zone, random.choice(sent)) for _ in range(random.randint(0, 2))]
    return History(
        zone,
        random.choice(("KRW", "KRW", "USD")),
        random.choice((None, "0.8", "0.333")),
        tuple(sent),
    )


def known_since(random: Random, of: History) -> datetime:
    """A time of knowledge in the midst of the history `of`."""
    return datetime.fromisoformat(random.choice(of.facts)["recorded_at"])


def subscription(random: Random, zone: str, account: str, name: str) -> list[Fact]:
    """Snapshots of one subscription: mostly small changes of the one before, as in life."""
    currency = random.choice(CURRENCIES)
    state: Fact | None = None
    states: list[Fact] = []
    for _ in range(random.randint(1, 6)):
        if state is None or random.random() < 0.4:
            state = fresh_state(random, zone, account, name, currency)
        else:
            at = instant(random, zone)
            state = {
                **state,
                "effective_at": written(at),
                "status": random.choice(STATUSES),
                "items": [
                    {**item, "quantity": random.randint(0, 40)} if one_in(random, 2) else item
                    for item in state["items"]
                ],
            }
            if "ends_at" in state and datetime.fromisoformat(state["ends_at"]) < at:
                del state["ends_at"]
            if one_in(random, 10):
                state["currency"] = random.choice(CURRENCIES)
        states.append(state)
    return states


def fresh_state(random: Random, zone: str, account: str, name: str, currency: str) -> Fact:
    at = instant(random, zone)
    state: Fact = {
        "type": "subscription_state",
        "account": account,
        "subscription": name,
        "status": random.choice(STATUSES),
        "currency": currency,
        "effective_at": written(at),
        "items": [item(random, zone) for _ in range(random.choice((1, 1, 2)))],
    }
    if one_in(random, 3):
        state["discounts"] = [discount(random, zone) for _ in range(random.randint(1, 2))]
    if one_in(random, 6):
        named = {"object_id": random.choice(("di_1", "di_2"))}
        state["discounts"] = [*state.get("discounts", []), named]
    if one_in(random, 6):
        behavior = random.choice(("void", "mark_uncollectible", "keep_as_draft"))
        state["pause"] = {"behavior": behavior}
        if one_in(random, 2):
            state["pause"]["resumes_at"] = written(instant(random, zone))
    if one_in(random, 6):
        ends = instant(random, zone)
        state["ends_at"] = written(ends if state["status"] == "canceled" else max(at, ends))
    if one_in(random, 3):
        state["seq"] = random.randint(0, 2)
    return state


def item(random: Random, zone: str) -> Fact:
    made: Fact = {
        "price": random.choice(("seat", "flat", "addon")),
        "interval": random.choice(("month", "month", "year", "week", "day")),
        "quantity": random.choice((0, 1, 2, 7, 10, 31, 40)),
    }
    if one_in(random, 4):
        made["interval_count"] = random.randint(1, 6)
    if one_in(random, 8):
        made["tiers"] = {"object_id": "price_1"}
    elif one_in(random, 4):
        made["tiers"] = tiers(random)
        made["tiers_mode"] = random.choice(("volume", "graduated"))
    else:
        made["unit_amount"] = random.choice(AMOUNTS)
    if one_in(random, 6):
        made["usage_type"] = "metered"
    if one_in(random, 6):
        made["transform_quantity"] = {
            "divide_by": random.randint(1, 7),
            "round": random.choice(("up", "down")),
        }
    if one_in(random, 4):
        made["tax_behavior"] = random.choice(("inclusive", "exclusive", "unspecified"))
        made["tax_percent"] = random.choice(("10", "8.25", "0"))
    if one_in(random, 4):
        made["discounts"] = [discount(random, zone) for _ in range(random.randint(1, 2))]
    return made


def tiers(random: Random) -> list[Fact]:
    ends = sorted({random.randint(1, 30) for _ in range(random.randint(0, 2))})
    made = []
    for end in (*ends, None):
        amounts = {
            name: random.choice(AMOUNTS)
            for name in ("unit_amount", "flat_amount")
            if one_in(random, 2)
        }
        made.append({"up_to": end, **amounts})
    return made


def discount(random: Random, zone: str) -> Fact:
    kind = random.choice(("percent", "amount"))
    value = random.choice(("0", "10", "33.3", "100") if kind == "percent" else AMOUNTS)
    duration = random.choice(("once", "repeating", "forever"))
    made: Fact = {"kind": kind, "value": value, "duration": duration}
    begins = instant(random, zone)
    if one_in(random, 2):
        made["start"] = written(begins)
    if one_in(random, 2):
        made["end"] = written(max(begins, instant(random, zone)))
    return made


def other(random: Random, zone: str, accounts: Sequence[str]) -> Fact:
    """A fact that is no state of a subscription."""
    at = {"effective_at": written(instant(random, zone))}
    account = {"account": random.choice(accounts)}
    month = {"month": random.choice(MONTHS)}
    amount = {"amount": random.choice(AMOUNTS)}
    kinds = ("rate", "rate", "rate", "spend", "cost", "answer", "noise", "object", "object")
    match random.choice(kinds):
        case "rate":
            return rate(random, random.choice(MONTHS))
        case "object":
            return provider_object(random, zone)
        case "spend":
            return {"type": "sales_and_marketing", **amount, **month}
        case "cost":
            return {"type": "acquisition_cost", **amount, **account}
        case "answer":
            answer = {"respondent": random.choice(("ann", "bob")), "score": random.randint(0, 10)}
            return {"type": "nps_response", **answer, **account, **at}
    kind = random.choice(("refund", "credit_note", "invoice_item", "usage"))
    return {"type": kind, "amount": 12.5, **account, **at}


def rate(random: Random, month: str) -> Fact:
    worth = random.choice(("1300", "1350.5", "0.9", "4321.123456789"))
    currency = random.choice(("USD", "KWD", "KRW"))
    return {"type": "fx_rate", "currency": currency, "rate": worth, "month": month}


def provider_object(random: Random, zone: str) -> Fact:
    """What a provider told of a discount or of a price with tiers, at some time."""
    if one_in(random, 3):
        told: Fact = {"tiers": tiers(random), "tiers_mode": random.choice(("volume", "graduated"))}
        made = {"object_id": "price_1", "object": told}
    else:
        terms = discount(random, zone)
        coupon = {"duration": terms["duration"], "percent_off": None, "amount_off": None}
        if terms["kind"] == "percent":
            coupon["percent_off"] = float(terms["value"])
        else:
            coupon |= {"amount_off": int(float(terms["value"])), "currency": "krw"}
        seconds: Fact = {
            name: int(datetime.fromisoformat(terms[name]).timestamp())
            for name in ("start", "end")
            if name in terms
        }
        told = {"source": {"coupon": coupon}, **seconds}
        made = {"object_id": random.choice(("di_1", "di_2")), "object": told}
    at = {"effective_at": written(instant(random, zone))}
    return {"type": "provider_object", **made, **(at if one_in(random, 2) else {})}


def recorded_at(random: Random, zone: str, fact: Fact) -> str:
    """When a fact was learned: at once, late, or well ahead of time."""
    said = fact.get("effective_at")
    happened = instant(random, zone) if said is None else datetime.fromisoformat(said)
    return written(happened + random.choice(DELAYS))


def said_again(random: Random, zone: str, fact: Fact) -> Fact:
    """The same fact once more, or another content under its name."""
    again = {**fact, "recorded_at": recorded_at(random, zone, fact)}
    if one_in(random, 2) and fact["type"] == "subscription_state":
        again["seq"] = fact.get("seq", 0) + 7
    return again


def instant(random: Random, zone: str) -> datetime:
    """At, just before, just after or somewhere behind the start of a month."""
    month = random.choice(MONTHS)
    begins = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return begins + random.choice(OFFSETS)


def written(at: datetime) -> str:
    return at.isoformat()


def one_in(random: Random, times: int) -> bool:
    return random.randrange(times) == 0


def seeded(seed: int) -> tuple[History, datetime]:
    """The history of a seed, and a time of knowledge within it."""
    random = Random(seed)
    made = history(random)
    return made, known_since(random, made)
