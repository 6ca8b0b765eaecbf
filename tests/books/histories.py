"""Random histories of a workspace's billing, as the JSON facts that would be sent.

Instants crowd around the ends of months and around each other, so that boundaries, simultaneous
facts and schedules that meet them are common and not lucky.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

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
CURRENCIES = ("KRW", "KRW", "KRW", "USD", "KWD")
MONTHS = tuple(f"2025-{number:02}" for number in range(1, 8))
STATUSES = (
    "active",
    "active",
    "active",
    "active",
    "past_due",
    "trialing",
    "trialing",
    "canceled",
    "unpaid",
    "paused",
    "incomplete",
)
AMOUNTS = ("0", "1", "10", "33", "99.99", "1000", "7500", "0.0001", "123456789")
TICK = timedelta(microseconds=1)
OFFSETS = (
    timedelta(0),
    timedelta(0),
    -TICK,
    TICK,
    timedelta(days=3, hours=5),
    timedelta(days=14),
    timedelta(days=14),
    timedelta(days=27),
)
DELAYS = (
    timedelta(0),
    timedelta(0),
    timedelta(seconds=2),
    timedelta(days=1),
    timedelta(days=40),
    timedelta(days=100),
    timedelta(days=-40),
)


@dataclass(frozen=True)
class History:
    """What was sent, and the settings of the workspace it was sent to."""

    zone: str
    currency: str
    margin: str | None
    facts: tuple[dict, ...]

    @property
    def settings(self):
        return {"zone": self.zone, "currency": self.currency, "margin": self.margin}


def written(at):
    return at.isoformat()


@st.composite
def instants(draw, zone):
    """An instant at, just before, just after or somewhere behind the start of a month."""
    month = draw(st.sampled_from(MONTHS))
    begins = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return begins + draw(st.sampled_from(OFFSETS))


amounts = st.sampled_from(AMOUNTS)


@st.composite
def discounts(draw, zone):
    kind = draw(st.sampled_from(("percent", "amount")))
    value = st.sampled_from(("0", "10", "33.3", "100")) if kind == "percent" else amounts
    discount = {
        "kind": kind,
        "value": draw(value),
        "duration": draw(st.sampled_from(("once", "repeating", "forever"))),
    }
    if draw(st.booleans()):
        begins = draw(instants(zone))
        discount["start"] = written(begins)
        if draw(st.booleans()):
            discount["end"] = written(max(begins, draw(instants(zone))))
    elif draw(st.booleans()):
        discount["end"] = written(draw(instants(zone)))
    return discount


@st.composite
def tiers(draw):
    ends = sorted(draw(st.sets(st.integers(1, 30), max_size=2)))
    return [
        {
            "up_to": end,
            **({"unit_amount": draw(amounts)} if draw(st.booleans()) else {}),
            **({"flat_amount": draw(amounts)} if draw(st.booleans()) else {}),
        }
        for end in (*ends, None)
    ]


@st.composite
def items(draw, zone):
    item = {
        "price": draw(st.sampled_from(("seat", "flat", "addon"))),
        "interval": draw(st.sampled_from(("month", "month", "year", "week", "day"))),
        "quantity": draw(st.integers(0, 40)),
    }
    if draw(st.integers(0, 3)) == 0:
        item["interval_count"] = draw(st.integers(1, 6))
    if draw(st.integers(0, 3)) == 0:
        item["tiers"] = draw(tiers())
        item["tiers_mode"] = draw(st.sampled_from(("volume", "graduated")))
    else:
        item["unit_amount"] = draw(amounts)
    if draw(st.integers(0, 5)) == 0:
        item["usage_type"] = "metered"
    if draw(st.integers(0, 5)) == 0:
        item["transform_quantity"] = {
            "divide_by": draw(st.integers(1, 7)),
            "round": draw(st.sampled_from(("up", "down"))),
        }
    if draw(st.integers(0, 3)) == 0:
        item["tax_behavior"] = draw(st.sampled_from(("inclusive", "exclusive", "unspecified")))
        item["tax_percent"] = draw(st.sampled_from(("10", "8.25", "0")))
    if draw(st.integers(0, 3)) == 0:
        item["discounts"] = draw(st.lists(discounts(zone), max_size=2))
    return item


@st.composite
def states(draw, zone, account, subscription, currency):
    at = draw(instants(zone))
    status = draw(st.sampled_from(STATUSES))
    state = {
        "type": "subscription_state",
        "account": account,
        "subscription": subscription,
        "status": status,
        "currency": currency if draw(st.integers(0, 7)) else draw(st.sampled_from(CURRENCIES)),
        "effective_at": written(at),
        "items": draw(st.lists(items(zone), min_size=1, max_size=2)),
    }
    if draw(st.integers(0, 2)) == 0:
        state["discounts"] = draw(st.lists(discounts(zone), max_size=2))
    if draw(st.integers(0, 5)) == 0:
        behavior = st.sampled_from(("void", "mark_uncollectible", "keep_as_draft"))
        state["pause"] = {"behavior": draw(behavior)}
        if draw(st.booleans()):
            state["pause"]["resumes_at"] = written(draw(instants(zone)))
    if draw(st.integers(0, 5)) == 0:
        ends = draw(instants(zone))
        state["ends_at"] = written(ends if status == "canceled" else max(at, ends))
    if draw(st.integers(0, 2)) == 0:
        state["seq"] = draw(st.integers(0, 2))
    return state


@st.composite
def others(draw, zone, accounts):
    """A fact that is no state of a subscription."""
    at = {"effective_at": written(draw(instants(zone)))}
    account = {"account": draw(st.sampled_from(accounts))}
    month = {"month": draw(st.sampled_from(MONTHS))}
    match draw(st.sampled_from(("rate", "rate", "rate", "spend", "cost", "answer", "noise"))):
        case "rate":
            rate = draw(st.sampled_from(("1300", "1350.5", "0.9", "4321.123456789")))
            currency = draw(st.sampled_from(("USD", "KWD")))
            return {"type": "fx_rate", "currency": currency, "rate": rate, **month}
        case "spend":
            return {"type": "sales_and_marketing", "amount": draw(amounts), **month}
        case "cost":
            return {"type": "acquisition_cost", "amount": draw(amounts), **account}
        case "answer":
            respondent = draw(st.sampled_from(("ann", "bob")))
            score = draw(st.integers(0, 10))
            return {
                "type": "nps_response",
                "respondent": respondent,
                "score": score,
                **account,
                **at,
            }
    kind = draw(st.sampled_from(("refund", "credit_note", "invoice_item", "usage")))
    return {"type": kind, "amount": 12.5, **account, **at}


@st.composite
def histories(draw):
    """A workspace's facts: up to three accounts, corrections, repeats and conflicts included."""
    zone = draw(st.sampled_from(ZONES))
    accounts = ("a1", "a2", "a3")[: draw(st.integers(1, 3))]
    facts = []
    for account in accounts:
        for subscription in range(draw(st.integers(1, 2))):
            currency = draw(st.sampled_from(CURRENCIES))
            name = f"{account}-s{subscription}"
            facts += draw(st.lists(states(zone, account, name, currency), min_size=1, max_size=5))
    facts += draw(st.lists(others(zone, accounts), max_size=5))
    facts = [{"id": f"f{number:02}", **fact} for number, fact in enumerate(facts)]
    sent = [{**fact, "recorded_at": written(draw(recorded(zone, fact)))} for fact in facts]
    for number in range(draw(st.integers(0, 2))):
        target = draw(st.sampled_from(facts))
        void = {"id": f"v{number}", "type": "void", "target": target["id"]}
        sent.append({**void, "recorded_at": written(draw(recorded(zone, target)))})
    for _ in range(draw(st.integers(0, 2))):
        sent.append(draw(said_again(zone, draw(st.sampled_from(sent)))))
    margin = draw(st.sampled_from((None, "0.8", "0.333")))
    return History(zone, draw(st.sampled_from(("KRW", "KRW", "USD"))), margin, tuple(sent))


@st.composite
def recorded(draw, zone, fact):
    """When a fact was learned: at once, late, or well ahead of time."""
    at = fact.get("effective_at")
    happened = draw(instants(zone)) if at is None else datetime.fromisoformat(at)
    return happened + draw(st.sampled_from(DELAYS))


@st.composite
def said_again(draw, zone, fact):
    """The same fact once more, or another content under its name."""
    again = {**fact, "recorded_at": written(draw(recorded(zone, fact)))}
    if draw(st.booleans()) and fact["type"] == "subscription_state":
        again["seq"] = fact.get("seq", 0) + 7
    return again
