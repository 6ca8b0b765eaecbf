"""What is known of people and accounts, as events told it: each field as it was told last.

Every function here leads to the same state whatever comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from services.cadence.model.anchor import ZoneEvent
from services.cadence.model.stages import Stage, Staged, StageFacts, stage_named, stage_of
from services.cadence.model.zones import ZoneKind, kind_of_change
from shared.events.base import Caused, Received
from shared.events.cadence import StageChanged
from shared.events.ingest import AccountUpserted, UserIdentified
from shared.events.metrics import Ended, MovementRecorded, Renewed, RevenueRestated
from shared.events.nps import Answered, ClassChanged
from shared.events.told import Profile, in_utc, told_last

PERSON_FIELDS = ("signed_up_at", "locale", "role", "channels")
PERSONAL_FIELDS = ("email", "name")
ACCOUNT_FIELDS = (
    "plan",
    "tier",
    "segment",
    "tags",
    "industry",
    "seats",
    "lifecycle_stage",
    "time_zone",
    "locale",
    "synthetic",
)
MRR = "mrr"
CLASS = "nps_class"
# Movements after which an account that had left is back.
RETURNS = ("new", "reactivation")


class ZoneSaid(NamedTuple):
    """A zone that an event said of a person, unchecked, and what it said it means."""

    at: datetime
    event: str
    zone: str
    kind: str | None


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person as events tell. `identified_at`: the time of the earliest `user.identified`;
    `known_at`: when the first of them reached the broker.
    """

    profile: Profile
    zones: Sequence[ZoneSaid] = ()
    identified_at: datetime | None = None
    known_at: datetime | None = None

    def value(self, field: str) -> Any:
        """What was told last of a field; None while nobody named it."""
        told = self.profile.get(field)
        return None if told is None else told.value

    @property
    def signed_up_at(self) -> datetime | None:
        """The latest `signed_up_at` that was said, else the earliest time of being identified."""
        said = self.value("signed_up_at")
        return self.identified_at if said is None else _instant(said)


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account as events tell. `churned_at` and `reactivated_at`: the latest of each."""

    profile: Profile
    stage: Stage = Stage.PROSPECT
    ever_paid: bool = False
    left_once: bool = False
    churned_at: datetime | None = None
    reactivated_at: datetime | None = None
    onboarded_at: datetime | None = None

    def value(self, field: str) -> Any:
        """What was told last of a field; None while nobody named it."""
        told = self.profile.get(field)
        return None if told is None else told.value

    @property
    def paying(self) -> bool:
        """Whether it has recurring revenue, as the ledger said last."""
        return self.mrr > 0

    @property
    def mrr(self) -> Decimal:
        """Its recurring revenue in minor units, 0 while the ledger said nothing."""
        said = self.value(MRR)
        return Decimal(0) if said is None else Decimal(said)


def user_identified(
    person: Person, received: Received[UserIdentified]
) -> tuple[Person, tuple[Caused, ...]]:
    """The person with what the event names, identified and known no later than by it."""
    event, at = received.event, in_utc(received.envelope.time)
    named = {field: getattr(event, field) for field in PERSON_FIELDS}
    told = told_last(person.profile, received, {**named, **_personal(event)})
    return (
        Person(
            profile=told,
            zones=_with_zone(person.zones, received, at),
            identified_at=_earlier(person.identified_at, at),
            known_at=_earlier(person.known_at, in_utc(received.appended_at)),
        ),
        (),
    )


def class_changed(
    person: Person, received: Received[ClassChanged]
) -> tuple[Person, tuple[Caused, ...]]:
    """The person with the class of the last answer to a survey."""
    profile = told_last(person.profile, received, {CLASS: received.event.to_class})
    return replace(person, profile=profile), ()


def answered(person: Person, received: Received[Answered]) -> tuple[Person, tuple[Caused, ...]]:
    """The person with the class of this answer; answers to other surveys have none."""
    profile = told_last(person.profile, received, {CLASS: received.event.answer_class})
    return replace(person, profile=profile), ()


def says_the_same(one: Person | Account, other: Person | Account) -> bool:
    """Whether both mean the same, whenever it was said."""
    return _meaning(one) == _meaning(other)


def _meaning(known: Person | Account) -> object:
    values = {name: told.value for name, told in known.profile.items()}
    if isinstance(known, Person):
        return values, zone_events(known.zones), known.signed_up_at, known.known_at
    return values, replace(known, profile={})


def zone_events(zones: Sequence[ZoneSaid]) -> list[ZoneEvent]:
    """What each zone that was said means, in order of time (events.md 4)."""
    known: str | None = None
    events: list[ZoneEvent] = []
    for said in sorted(zones):
        told = ZoneKind(said.kind) if said.kind in set(ZoneKind) else None
        kind = kind_of_change(known, said.zone, told)
        if kind is not None:
            events.append(ZoneEvent(said.at, kind, said.zone))
            known = said.zone
    return events


def account_upserted(
    account: Account, received: Received[AccountUpserted]
) -> tuple[Account, tuple[Caused, ...]]:
    """The account with the fields that the event names."""
    named = {field: getattr(received.event, field) for field in ACCOUNT_FIELDS}
    return _staged(replace(account, profile=told_last(account.profile, received, named)), received)


def revenue_moved(
    account: Account, received: Received[MovementRecorded]
) -> tuple[Account, tuple[Caused, ...]]:
    """The account with the revenue that it has after a movement; it may leave or return by it."""
    event, at = received.event, in_utc(received.event.at)
    moved = _with_revenue(account, received, event.mrr)
    if event.kind == "churn":
        moved = replace(moved, left_once=True, churned_at=_later(moved.churned_at, at))
    if event.kind in RETURNS:
        moved = replace(moved, reactivated_at=_later(moved.reactivated_at, at))
    return _staged(moved, received)


def revenue_restated(
    account: Account, received: Received[RevenueRestated]
) -> tuple[Account, tuple[Caused, ...]]:
    """The account with the revenue that it is now known to have."""
    return _staged(_with_revenue(account, received, received.event.mrr), received)


def contract_ended(
    account: Account, received: Received[Ended]
) -> tuple[Account, tuple[Caused, ...]]:
    """The account without its contract: nobody of it is written to any more (events.md 4)."""
    at = in_utc(received.envelope.time)
    return replace(account, churned_at=_later(account.churned_at, at)), ()


def contract_renewed(
    account: Account, received: Received[Renewed]
) -> tuple[Account, tuple[Caused, ...]]:
    """The account with a contract again."""
    at = in_utc(received.envelope.time)
    return replace(account, reactivated_at=_later(account.reactivated_at, at)), ()


def staged(account: Account) -> Staged:
    """The lifecycle stage that the facts of an account give it, and why."""
    return stage_of(
        StageFacts(
            seed=stage_named(account.value("lifecycle_stage")),
            mrr=account.mrr,
            ever_paid=account.ever_paid,
            left_once=account.left_once,
            onboarded=account.onboarded_at is not None,
        )
    )


def _with_revenue(account: Account, received: Received[Any], mrr: Decimal) -> Account:
    profile = told_last(account.profile, received, {MRR: str(mrr)})
    return replace(account, profile=profile, ever_paid=account.ever_paid or mrr > 0)


def _staged(account: Account, received: Received[Any]) -> tuple[Account, tuple[Caused, ...]]:
    """The account in the stage that its facts give it, and that it is another one."""
    stage, because = staged(account)
    if stage is account.stage:
        return account, ()
    changed = StageChanged(
        from_=account.stage.value,
        to=stage.value,
        because=because.value,
        at=in_utc(received.envelope.time),
    )
    caused = Caused(
        event=changed,
        workspace=received.envelope.workspace,
        cause_id=received.envelope.id,
        time=in_utc(received.envelope.time),
        subject=received.envelope.subject,
    )
    return replace(account, stage=stage), (caused,)


def _with_zone(
    zones: Sequence[ZoneSaid], received: Received[UserIdentified], at: datetime
) -> Sequence[ZoneSaid]:
    """The zones with the one that the event says, once."""
    said = received.event.time_zone
    if not said:
        return zones
    new = ZoneSaid(at, received.envelope.id, said, received.event.zone_kind)
    return _thinned(sorted({*zones, new}))


def _thinned(zones: Sequence[ZoneSaid]) -> list[ZoneSaid]:
    """Without those that say what was said just before them and just after.

    A product that says the zone at every visit would else make a list without end. The first and
    the last of a run stay, so that another zone said in between, and told late, ends it.
    """
    inside = {
        here
        for before, here, after in zip(zones, zones[1:], zones[2:], strict=False)
        if before.zone == here.zone == after.zone and here.kind is None
    }
    return [said for said in zones if said not in inside]


def _personal(event: UserIdentified) -> dict[str, str]:
    """E-mail address and name, where they are in the clear and texts."""
    if event.personal is msgspec.UNSET:
        return {}
    said = msgspec.json.decode(event.personal)
    if not isinstance(said, dict):
        return {}
    return {
        field: said[field]
        for field in PERSONAL_FIELDS
        if isinstance(said.get(field), str) and said[field]
    }


def _instant(said: str) -> datetime:
    return in_utc(datetime.fromisoformat(said))


def _earlier(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else min(known, at)


def _later(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else max(known, at)
