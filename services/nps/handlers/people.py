"""What is said of people and accounts: who signed up when and where, who is in which account."""

from collections.abc import Sequence
from typing import Any

from services.nps.handlers.grouping import by_workspace
from services.nps.store import people
from services.nps.store.people import AccountTold, Consent, Membership, PersonTold
from shared.bus.handlers import Batch, BatchFold, Lane
from shared.db import Tx
from shared.events import ingest
from shared.events.base import Caused, Received
from shared.zones import packaged

LEARNED = "learned"


async def people_identified(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep what was told of people, and that they may not be written to if they say so."""
    for workspace, events in by_workspace(batch):
        named = [event for event in events if event.event.user]
        await people.save_people(tx, workspace, [_person_told(event) for event in named])
        opted = [event for event in named if event.event.email_opt_out is not None]
        await people.save_consents(tx, workspace, [_opt_out(event) for event in opted])
    return ()


def _person_told(received: Received[Any]) -> PersonTold:
    event = received.event
    return PersonTold(
        user=event.user,
        at=received.envelope.time,
        signed_up_at=event.signed_up_at,
        zone=_usable(event.time_zone),
        learned=event.zone_kind == LEARNED,
        locale=event.locale,
        role=event.role,
    )


def _usable(zone: str | None) -> str | None:
    """The zone, if it is one: text that names none changes nothing."""
    return zone if zone is not None and packaged().knows(zone) else None


def _opt_out(received: Received[Any]) -> Consent:
    event = received.event
    return Consent(event.user, "all", not event.email_opt_out, received.envelope.time)


async def members_named(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Whoever an event names together with an account is in it, until removed."""
    for workspace, events in by_workspace(batch):
        named = [
            Membership(
                received.event.user,
                received.envelope.subject,
                received.envelope.time,
                gone=isinstance(received.event, ingest.UserRemoved),
            )
            for received in events
            if received.envelope.subject is not None and received.event.user
        ]
        await people.save_memberships(tx, workspace, named)
    return ()


async def accounts_upserted(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep what was told of accounts."""
    for workspace, events in by_workspace(batch):
        told = [_account_told(event) for event in events if event.envelope.subject is not None]
        await people.save_accounts(tx, workspace, told)
    return ()


def _account_told(received: Received[Any]) -> AccountTold:
    assert received.envelope.subject is not None
    event = received.event
    return AccountTold(
        account=received.envelope.subject,
        at=received.envelope.time,
        name=event.name,
        tier=event.tier,
        owner=event.owner,
        time_zone=_usable(event.time_zone),
        synthetic=event.synthetic,
    )


async def accounts_billed(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """An account that a billing fact names is known here."""
    for workspace, events in by_workspace(batch):
        named = {event.envelope.subject for event in events if event.envelope.subject}
        await people.append_accounts(tx, workspace, named)
    return ()


async def consents_changed(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep what a product says of consents; those for one channel alone are cadence's affair."""
    for workspace, events in by_workspace(batch):
        said = [
            Consent(each.event.user, each.event.about, each.event.granted, each.envelope.time)
            for each in events
            if each.event.user and each.event.channel in (None, "email")
        ]
        await people.save_consents(tx, workspace, said)
    return ()


PEOPLE = Lane(
    name="people",
    topics=(ingest.ACCOUNTS, ingest.BILLING),
    folds=(
        BatchFold(on=(ingest.UserIdentified,), handle=people_identified),
        BatchFold(on=(ingest.AccountUpserted,), handle=accounts_upserted),
        BatchFold(
            on=(ingest.UserIdentified, ingest.AccountUpserted, ingest.UserRemoved),
            handle=members_named,
        ),
        BatchFold(on=(ingest.UserConsentChanged,), handle=consents_changed),
        BatchFold(on=(ingest.BillingFactRecorded,), handle=accounts_billed),
    ),
)
