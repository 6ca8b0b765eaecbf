"""What people may enter programs by: an event that speaks of a person or of an account."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from shared.events.base import Event, Received
from shared.events.cadence import StageChanged
from shared.events.metrics import FirstPaymentSucceeded, RenewalDue
from shared.events.nps import ClassChanged, InvitationRequested, RequestChanged, ThemeAssigned
from shared.events.told import in_utc

UNAWARE = "unaware_of_feature"
SHIPPED = "shipped"


def of_person(user: str) -> str:
    """The scope of what concerns one person."""
    return f"u:{user}"


def of_account(account: str) -> str:
    """The scope of what concerns everybody of an account."""
    return f"a:{account}"


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """Something that happened. `about` tells it from others of its kind and scope; `names_on` is
    the civil date that it names, `facts` what messages may say of it.
    """

    workspace: str
    scope: str
    event: str
    about: str
    at: datetime
    names_on: date | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is known by."""
        return self.workspace, self.scope, self.event, self.about


def occasions_in(received: Received[Any]) -> list[Occasion]:
    """The occasions that an event is; none where it names nobody."""
    return [
        Occasion(
            workspace=received.envelope.workspace,
            scope=scope,
            event=received.event.type,
            about=found.about,
            at=in_utc(received.envelope.time),
            names_on=found.names_on,
            facts=found.facts,
        )
        for found in (_READERS[type(received.event)](received),)
        if found is not None
        for scope in found.scopes
    ]


@dataclass(frozen=True, kw_only=True)
class _Found:
    scopes: Sequence[str]
    about: str = ""
    names_on: date | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def _first_payment(received: Received[FirstPaymentSucceeded]) -> _Found | None:
    account = received.envelope.subject
    return None if account is None else _Found(scopes=[of_account(account)])


def _renewal_due(received: Received[RenewalDue]) -> _Found | None:
    account, event = received.envelope.subject, received.event
    if account is None:
        return None
    return _Found(
        scopes=[of_account(account)],
        about=f"{event.contract}@{event.on.isoformat()}",
        names_on=event.on,
        facts={"contract": event.contract, "renews_on": event.on.isoformat()},
    )


def _class_changed(received: Received[ClassChanged]) -> _Found:
    event = received.event
    on = in_utc(received.envelope.time).date().isoformat()
    return _Found(scopes=[of_person(event.user)], about=f"{event.to_class}@{on}")


def _theme_assigned(received: Received[ThemeAssigned]) -> _Found | None:
    event = received.event
    if event.user is None or event.feature is None or event.theme != UNAWARE:
        return None
    return _Found(
        scopes=[of_person(event.user)],
        about=event.feature,
        facts={"feature": event.feature, "feature_name": event.feature},
    )


def _request_changed(received: Received[RequestChanged]) -> _Found | None:
    event = received.event
    if event.status != SHIPPED:
        return None
    named = {} if event.title is None else {"request_name": event.title}
    return _Found(
        scopes=[of_person(voter) for voter in event.voters],
        about=event.request,
        facts={"request": event.request, **named},
    )


def _invitation_requested(received: Received[InvitationRequested]) -> _Found:
    event = received.event
    return _Found(
        scopes=[of_person(event.user)],
        about=f"{event.invitation}/{event.kind}",
        facts={
            "invitation": event.invitation,
            "kind": event.kind,
            "invitation_url": event.url,
            # Templates are named with hyphens here.
            "template": event.template.replace("_", "-"),
            "closes_at": in_utc(event.closes_at).isoformat(),
        },
    )


def _stage_changed(received: Received[StageChanged]) -> _Found | None:
    account = received.envelope.subject
    if account is None:
        return None
    on = in_utc(received.envelope.time).date().isoformat()
    return _Found(scopes=[of_account(account)], about=f"{received.event.to}@{on}")


_READERS: Mapping[type[Event], Callable[[Received[Any]], _Found | None]] = {
    FirstPaymentSucceeded: _first_payment,
    RenewalDue: _renewal_due,
    ClassChanged: _class_changed,
    ThemeAssigned: _theme_assigned,
    RequestChanged: _request_changed,
    InvitationRequested: _invitation_requested,
    StageChanged: _stage_changed,
}
OCCASION_EVENTS = tuple(_READERS)
