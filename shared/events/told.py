"""What events tell of accounts and people: whom they name, and each field as it was told last."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from shared.events.base import Event, Received


class AccountId(NamedTuple):
    """An account; ids are unique within their workspace only."""

    workspace: str
    account: str


class PersonId(NamedTuple):
    """A person; ids are unique within their workspace only."""

    workspace: str
    user: str


class Told(NamedTuple):
    """A value, when it was said, and by which event; two at one instant go by event id."""

    value: Any
    at: datetime
    event: str

    def outdated_by(self, other: "Told") -> bool:
        """Whether `other` was said later."""
        return (self.at, self.event) < (other.at, other.event)


Profile = Mapping[str, Told]
"""Fields by name. A field that nobody named is absent: unknown, never empty."""


def account_of(received: Received[Any]) -> AccountId | None:
    """The account that an event speaks of."""
    account = received.envelope.subject
    return None if account is None else AccountId(received.envelope.workspace, account)


def person_of(received: Received[Any]) -> PersonId | None:
    """The person that an event speaks of; None for a visitor before sign-up."""
    user = user_of(received.event)
    return None if user is None else PersonId(received.envelope.workspace, user)


def user_of(event: Event) -> str | None:
    """The id of the person whom an event names; None where it names none."""
    user = getattr(event, "user", None)
    return user if isinstance(user, str) and user else None


def told_last(profile: Profile, received: Received[Any], values: Mapping[str, Any]) -> Profile:
    """The profile with those of `values` that the event names; what was told later stands."""
    named = {
        field: msgspec.to_builtins(value) for field, value in values.items() if value is not None
    }
    return with_told(profile, named, in_utc(received.envelope.time), received.envelope.id)


def with_told(profile: Profile, values: Mapping[str, Any], at: datetime, event: str) -> Profile:
    """The profile with what an event told at an instant; later ones stand, whatever comes first."""
    merged = dict(profile)
    for field, value in values.items():
        told = Told(value, at, event)
        if field not in merged or merged[field].outdated_by(told):
            merged[field] = told
    return merged


def in_utc(instant: datetime) -> datetime:
    """The instant in UTC; one without offset is read as UTC."""
    if instant.tzinfo is UTC:
        return instant
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
