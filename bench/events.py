"""Made usage of a product, the same in every run: as SDKs send it, and as it stands in Kafka."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import msgspec

from shared.events.base import Envelope, partition_key
from shared.events.ingest import UsageTracked

WORKSPACE = "bench"
FEATURES = ("reports", "dashboards", "exports", "alerts", "billing", "search", "teams", "api")
ACTIONS = ("Viewed", "Created", "Exported", "Shared", "Deleted")
WORKDAY_SECONDS = 36_000
ID_DIGITS = 12  # of the running number that ends every message id

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class Use:
    """Who uses the product: how many accounts, how unevenly, by how many people, on which days.

    `skew` is the exponent of Zipf's law over the accounts: 0 means all alike. Accounts have up to
    `users` people, of whom the first ones do most, too.
    """

    accounts: int
    skew: float
    users: int
    days: int


# Live traffic of one day: of 5,000 events in a partition, about 900 account-days are distinct.
HOT = Use(accounts=20_000, skew=0.9, users=5, days=1)
# A catch-up over quiet accounts and two weeks: hardly a day of an account comes twice.
WIDE = Use(accounts=20_000, skew=0.0, users=5, days=14)


@dataclass(frozen=True)
class Happening:
    """Somebody used a feature."""

    account: str
    user: str
    feature: str
    action: str
    at: datetime
    rows: int


def happenings(use: Use, count: int, *, until: datetime, seed: int) -> Iterator[Happening]:
    """`count` happenings up to `until`, in the order of time but for a minute or two.

    They fill the ten hours before `until`'s time of day, on each of the days.
    """
    draw = random.Random(seed)
    accounts = draw.choices(range(use.accounts), cum_weights=_zipf(use.accounts, use.skew), k=count)
    users = draw.choices(range(use.users), cum_weights=_zipf(use.users, 1.0), k=count)
    features = draw.choices(FEATURES, cum_weights=_zipf(len(FEATURES), 1.0), k=count)
    for number, (account, user, feature) in enumerate(zip(accounts, users, features, strict=True)):
        days_back, share = divmod((count - number) * use.days / count, 1)
        back = timedelta(days=days_back, seconds=share * WORKDAY_SECONDS + draw.randrange(90))
        yield Happening(
            account=f"account-{account:05d}",
            user=f"user-{account:05d}-{user}",
            feature=feature,
            action=draw.choice(ACTIONS),
            at=until - back,
            rows=draw.randrange(10_000),
        )


def _zipf(count: int, skew: float) -> Sequence[float]:
    """Cumulative weights by Zipf's law."""
    return list(accumulate(1 / (rank + 1) ** skew for rank in range(count)))


# --- as SDKs send it -----------------------------------------------------------------------------


class Body:
    """A request body whose events get new message ids each time it is sent."""

    def __init__(self, used: Sequence[Happening], *, run: str) -> None:
        marks = [f"{run}-{number:0{ID_DIGITS}d}" for number in range(len(used))]
        events = [_as_sent(happening, mark) for happening, mark in zip(used, marks, strict=True)]
        sent_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._text = bytearray(_encode({"batch": events, "sentAt": sent_at}))
        self._places = [self._text.index(mark.encode()) + len(mark) - ID_DIGITS for mark in marks]

    @property
    def events(self) -> int:
        """How many it holds."""
        return len(self._places)

    def numbered_from(self, first: int) -> bytes:
        """The body with the ids `first`, `first` + 1, and so on."""
        for number, place in enumerate(self._places, first):
            self._text[place : place + ID_DIGITS] = b"%0*d" % (ID_DIGITS, number)
        return bytes(self._text)


def _as_sent(happening: Happening, message_id: str) -> dict[str, Any]:
    """A track call as Segment's SDK for Python sends it: 9 fields, 6 properties, about 345 B."""
    return {
        "type": "track",
        "messageId": message_id,
        "userId": happening.user,
        "anonymousId": None,
        "event": f"{happening.feature.capitalize()} {happening.action}",
        "timestamp": happening.at.isoformat(timespec="milliseconds"),
        "context": {"groupId": happening.account},
        "properties": _properties(happening),
        "integrations": {},
    }


def _properties(happening: Happening) -> dict[str, Any]:
    return {
        "feature": happening.feature,
        "rows": happening.rows,
        "plan": "team",
        "beta": False,
        "ms": happening.rows / 8,
        "path": f"/app/{happening.feature}",
    }


# --- as it stands in Kafka -----------------------------------------------------------------------


def as_published(happening: Happening, number: int) -> tuple[str, bytes]:
    """Key and value of the record that ingest makes of event number `number`, about 615 B."""
    message_id = f"5c1d2f8e-77aa-4b1e-9f0d-{number:0{ID_DIGITS}d}"
    key = partition_key(WORKSPACE, happening.account)
    tracked = UsageTracked(
        user=happening.user,
        event=f"{happening.feature.capitalize()} {happening.action}",
        feature=happening.feature,
        properties=msgspec.Raw(_encode(_properties(happening))),
        context=msgspec.Raw(_encode({"groupId": happening.account})),
    )
    envelope = Envelope(
        specversion="1.0",
        id=f"default/{message_id}",
        source="default",
        type=UsageTracked.type,
        time=happening.at,
        workspace=WORKSPACE,
        partitionkey=key,
        data=msgspec.Raw(_encode(tracked)),
        subject=happening.account,
        messageid=message_id,
        recordedtime=happening.at + timedelta(seconds=2),
        originaltime=happening.at.isoformat(timespec="milliseconds"),
    )
    return key, _encode(envelope)
