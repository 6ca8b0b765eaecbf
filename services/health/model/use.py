"""What a batch of usage events adds to the daily rollups: the hot path, one dict entry per key."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import NamedTuple

from services.health.model.score import ActiveDay
from shared.events.base import Received
from shared.events.ingest import UsagePageViewed, UsageScreenViewed, UsageTracked
from shared.events.told import AccountId, in_utc

UsageEvent = UsageTracked | UsagePageViewed | UsageScreenViewed


class Place(NamedTuple):
    """An account by the number that stands for it in the rollups."""

    workspace: str
    number: int


def number_of(account: AccountId) -> int:
    """The number that stands for an account in the rollups, the same in every rebuild: 63 bits.

    Of a million accounts of a workspace two share one with a chance of 1 in 18 million; the store
    refuses the second.
    """
    named = f"{account.workspace} {account.account}".encode()
    return int.from_bytes(blake2b(named, digest_size=8).digest()) >> 1


class AccountDay(NamedTuple):
    """A UTC day of an account."""

    workspace: str
    account: str
    day: date


@dataclass(frozen=True, kw_only=True)
class Use:
    """The rollups of a batch: active days per account, events per day by user and by feature."""

    days: Mapping[AccountId, list[ActiveDay]]
    by_user: Mapping[AccountDay, Mapping[str, int]]
    by_feature: Mapping[AccountDay, Mapping[str, int]]


class _Tally:
    """The running counts of one account and day. Mutable: this is the inner loop."""

    __slots__ = ("events", "features", "first_at", "first_event", "last_at", "users")

    def __init__(self, at: datetime, event_id: str) -> None:
        self.events = 0
        self.first_at = at
        self.first_event = event_id
        self.last_at = at
        self.users: defaultdict[str, int] = defaultdict(int)
        self.features: defaultdict[str, int] = defaultdict(int)

    def add(self, at: datetime, event_id: str, user: str | None, feature: str | None) -> None:
        self.events += 1
        if at > self.last_at:
            self.last_at = at
        # Of two events at the same instant the lower id is first, whatever came first.
        elif at < self.first_at or (at == self.first_at and event_id < self.first_event):
            self.first_at, self.first_event = at, event_id
        if user:
            self.users[user] += 1
        if feature:
            self.features[feature] += 1


def use_of(batch: Iterable[Received[UsageEvent]]) -> Use:
    """The rollups of a batch. Events without account and synthetic ones count nowhere."""
    tallies: dict[AccountDay, _Tally] = {}
    for received in batch:
        envelope, event = received.envelope, received.event
        if envelope.subject is None or envelope.synthetic:
            continue
        at = in_utc(envelope.time)
        key = AccountDay(envelope.workspace, envelope.subject, at.date())
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = _Tally(at, envelope.id)
        tally.add(at, envelope.id, event.user, event.feature)
    return _sorted(tallies)


def _sorted(tallies: Mapping[AccountDay, _Tally]) -> Use:
    """In key order: everybody then locks rows in the same order."""
    days: defaultdict[AccountId, list[ActiveDay]] = defaultdict(list)
    ordered = sorted(tallies.items())
    for key, tally in ordered:
        days[AccountId(key.workspace, key.account)].append(
            ActiveDay(key.day, tally.first_at, tally.last_at, tally.events, tally.first_event)
        )
    return Use(
        days=days,
        by_user={key: tally.users for key, tally in ordered if tally.users},
        by_feature={key: tally.features for key, tally in ordered if tally.features},
    )
