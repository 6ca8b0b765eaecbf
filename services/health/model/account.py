"""What was said of an account or a person: each field as it was told last, by event time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from services.health.model.use import AccountDay
from shared.events.base import Caused, Received
from shared.events.ingest import AccountUpserted, UserIdentified
from shared.events.told import Profile, in_utc, told_last

ACCOUNT_FIELDS = (
    "name",
    "plan",
    "tier",
    "segment",
    "tags",
    "industry",
    "owner",
    "seller",
    "parent",
    "icp_score",
    "seats",
    "pricing_model",
    "acquisition_channel",
    "lifecycle_stage",
    "time_zone",
    "locale",
    "signed_up_at",
    "integrations",
    "external_ids",
    "synthetic",
)
PERSON_FIELDS = ("role", "signed_up_at", "time_zone", "locale")


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person as events tell. `identified_at` is the time of the earliest `user.identified`."""

    profile: Profile
    identified_at: datetime | None = None


class MemberKey(NamedTuple):
    """A person in an account; one may be in several."""

    workspace: str
    account: str
    user: str


class Seen(NamedTuple):
    """The first and the last UTC day on which an event named a member."""

    first_on: date
    last_on: date

    def and_on(self, day: date) -> "Seen":
        """Seen on `day` too."""
        return Seen(min(self.first_on, day), max(self.last_on, day))


def account_upserted(
    profile: Profile, received: Received[AccountUpserted]
) -> tuple[Profile, tuple[Caused, ...]]:
    """The account with the fields that the event names; later ones stand, whatever comes first."""
    return _told(profile, received, ACCOUNT_FIELDS), ()


def user_identified(
    person: Person, received: Received[UserIdentified]
) -> tuple[Person, tuple[Caused, ...]]:
    """The person with the fields that the event names, identified no later than by it."""
    at = in_utc(received.envelope.time)
    first = at if person.identified_at is None else min(person.identified_at, at)
    return Person(profile=_told(person.profile, received, PERSON_FIELDS), identified_at=first), ()


def _told(profile: Profile, received: Received[Any], fields: tuple[str, ...]) -> Profile:
    return told_last(profile, received, {field: getattr(received.event, field) for field in fields})


def members_of(batch: Iterable[Received[Any]]) -> dict[MemberKey, Seen]:
    """The people that events of the batch name together with an account, in key order."""
    return _seen(
        (MemberKey(envelope.workspace, envelope.subject, user), in_utc(envelope.time).date())
        for envelope, user in ((received.envelope, received.event.user) for received in batch)
        if envelope.subject is not None and user
    )


def members_in_use(by_user: Mapping[AccountDay, Mapping[str, int]]) -> dict[MemberKey, Seen]:
    """The people behind a batch of use, in key order."""
    return _seen(
        (MemberKey(key.workspace, key.account, user), key.day)
        for key, users in by_user.items()
        for user in users
    )


def _seen(named: Iterable[tuple[MemberKey, date]]) -> dict[MemberKey, Seen]:
    seen: dict[MemberKey, Seen] = {}
    for key, day in named:
        seen[key] = seen[key].and_on(day) if key in seen else Seen(day, day)
    return dict(sorted(seen.items()))
