"""Event door of cadence: which events it reads, and which function answers each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from typing import Any

from services.cadence.model.occasions import OCCASION_EVENTS, occasions_in
from services.cadence.model.people import (
    Account,
    Person,
    account_upserted,
    answered,
    class_changed,
    contract_ended,
    contract_renewed,
    revenue_moved,
    revenue_restated,
    says_the_same,
    user_identified,
)
from services.cadence.store import accounts, consents, occasions, people, planning
from services.cadence.store.consents import ConsentKey, Word
from services.cadence.store.people import MemberKey
from shared.auth import fold_workspaces
from shared.bus.handlers import Batch, BatchFold, Lane, StateFold
from shared.db import Tx
from shared.events import cadence, ingest, metrics, nps
from shared.events.base import Caused, Received, partition_key
from shared.events.told import AccountId, PersonId, account_of, in_utc, person_of, user_of
from shared.service import CONTROL_LANE

ALL = "all"


# --- people --------------------------------------------------------------------------------------


async def save_persons(tx: Tx, persons: Mapping[PersonId, Person]) -> None:
    """Keep the people; those of whom something else is known now are planned anew."""
    before = await people.list_persons(tx, persons)
    await people.save_persons(tx, persons)
    settled = await people.settle(tx, persons)
    changed = {key for key, person in persons.items() if not says_the_same(before[key], person)}
    await planning.ask_for_plans(tx, {*changed, *settled})


async def members_named(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Whoever an event names together with an account is a member of it, until removed."""
    seen: dict[MemberKey, datetime] = {}
    removed: dict[MemberKey, datetime] = {}
    for received in batch:
        user, account = user_of(received.event), received.envelope.subject
        if user is None:
            continue
        at, key = in_utc(received.envelope.time), MemberKey(received.envelope.workspace, user, "")
        if isinstance(received.event, ingest.UserRemoved):
            key = key._replace(account=account or "")
            removed[key] = max(at, removed.get(key, at))
        elif account is not None:
            key = key._replace(account=account)
            seen[key] = max(at, seen.get(key, at))
    await people.add_members(tx, seen)
    await people.remove_members(tx, removed)
    named = {PersonId(key.workspace, key.user) for key in [*seen, *removed]}
    await planning.ask_for_plans(tx, await people.settle(tx, named))
    return ()


async def consents_said(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the newest word on each topic, and tell of it where it is another one."""
    words: dict[ConsentKey, Word] = {}
    by: dict[ConsentKey, Received[Any]] = {}
    for received in batch:
        said = _consent_in(received)
        if said is None:
            continue
        key, word = said
        if key not in words or (word.at, words[key].granted) > (words[key].at, word.granted):
            words[key], by[key] = word, received
    changed = await consents.save_words(tx, words)
    return [_consent_changed(key, words[key], by[key]) for key in sorted(changed)]


def _consent_in(received: Received[Any]) -> tuple[ConsentKey, Word] | None:
    user, event, workspace = user_of(received.event), received.event, received.envelope.workspace
    at = in_utc(received.envelope.time)
    if user is None:
        return None
    if isinstance(event, ingest.UserConsentChanged):
        return ConsentKey(workspace, user, event.about), Word(at, event.granted)
    if event.email_opt_out is None:
        return None
    return ConsentKey(workspace, user, ALL), Word(at, not event.email_opt_out)


def _consent_changed(key: ConsentKey, word: Word, received: Received[Any]) -> Caused:
    account = received.envelope.subject
    return Caused(
        event=cadence.ConsentChanged(
            user=key.user, about=key.topic, granted=word.granted, via="import", at=word.at
        ),
        workspace=key.workspace,
        cause_id=received.envelope.id,
        time=word.at,
        subject=account,
        key=key.topic,
        record_key=partition_key(key.workspace, account, key.user),
    )


# --- accounts ------------------------------------------------------------------------------------


async def save_accounts(tx: Tx, told: Mapping[AccountId, Account]) -> None:
    """Keep the accounts; everybody of those that are others now is planned anew."""
    before = await accounts.list_accounts(tx, told)
    await accounts.save_accounts(tx, told)
    changed = {key for key, account in told.items() if not says_the_same(before[key], account)}
    members = await people.list_members(tx, changed)
    await people.settle(tx, members)
    await planning.ask_for_plans(tx, members)


async def occasions_came(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep what people may enter programs by, and let those concerned be planned anew."""
    found = [occasion for received in batch for occasion in occasions_in(received)]
    await occasions.add_occasions(tx, found)
    of_accounts = {
        AccountId(occasion.workspace, occasion.scope.removeprefix("a:"))
        for occasion in found
        if occasion.scope.startswith("a:")
    }
    named = {
        PersonId(occasion.workspace, occasion.scope.removeprefix("u:"))
        for occasion in found
        if occasion.scope.startswith("u:")
    }
    await planning.ask_for_plans(tx, {*named, *await people.list_members(tx, of_accounts)})
    return ()


# --- use -----------------------------------------------------------------------------------------


async def features_used(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Add up who used which feature, and note on which days whom accounts had."""
    used: defaultdict[tuple[PersonId, str], list[datetime]] = defaultdict(list)
    seen: dict[MemberKey, datetime] = {}
    for received in batch:
        envelope, user = received.envelope, user_of(received.event)
        if user is None or envelope.synthetic:
            continue
        at = in_utc(envelope.time)
        if received.event.feature:
            used[PersonId(envelope.workspace, user), received.event.feature].append(at)
        if envelope.subject is not None:
            # By the day, so that use writes once a day; what is said of a person goes before it.
            key = MemberKey(envelope.workspace, user, envelope.subject)
            day = datetime.combine(at.date(), time(), at.tzinfo)
            seen[key] = max(day, seen.get(key, day))
    await people.add_use(tx, {key: (len(at), max(at)) for key, at in used.items()})
    await people.add_members(tx, seen)
    settled = await people.settle(tx, {PersonId(key.workspace, key.user) for key in seen})
    await planning.ask_for_plans(tx, settled)
    await planning.ask_where_announced(tx, used.keys())
    return ()


# --- settings ------------------------------------------------------------------------------------


async def workspaces_configured(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the settings; the zone of a workspace is a link of everybody's chain."""
    await fold_workspaces(tx, batch)
    await planning.ask_for_plans_of_workspaces(tx, {received.event.id for received in batch})
    return ()


# --- lanes ---------------------------------------------------------------------------------------

PEOPLE = StateFold(
    on={
        ingest.UserIdentified: user_identified,
        nps.Answered: answered,
        nps.ClassChanged: class_changed,
    },
    key=person_of,
    load=people.load_persons,
    save=save_persons,
)
ACCOUNTS = StateFold(
    on={
        ingest.AccountUpserted: account_upserted,
        metrics.MovementRecorded: revenue_moved,
        metrics.RevenueRestated: revenue_restated,
        metrics.Ended: contract_ended,
        metrics.Renewed: contract_renewed,
    },
    key=account_of,
    load=accounts.load_accounts,
    save=save_accounts,
)
MEMBERS = BatchFold(
    on=(ingest.UserIdentified, ingest.AccountUpserted, ingest.UserRemoved), handle=members_named
)
CONSENTS = BatchFold(on=(ingest.UserConsentChanged, ingest.UserIdentified), handle=consents_said)
OCCASIONS = BatchFold(on=OCCASION_EVENTS, handle=occasions_came)
USE = BatchFold(
    on=(ingest.UsageTracked, ingest.UsagePageViewed, ingest.UsageScreenViewed),
    handle=features_used,
)
SETTINGS = BatchFold(on=(ingest.WorkspaceConfigured,), handle=workspaces_configured)

CONTROL = replace(
    CONTROL_LANE,
    folds=tuple(
        SETTINGS if ingest.WorkspaceConfigured in fold.types else fold
        for fold in CONTROL_LANE.folds
    ),
)
PERSONS = Lane(
    name="people",
    topics=(
        ingest.ACCOUNTS,
        metrics.REVENUE,
        metrics.CONTRACTS,
        nps.SURVEYS,
        cadence.WORK,
    ),
    folds=(ACCOUNTS, PEOPLE, MEMBERS, CONSENTS, OCCASIONS),
)
LIVE = Lane(name="use", topics=(ingest.USAGE, ingest.USAGE_OVERFLOW), folds=(USE,))
HISTORY = Lane(
    name="history",
    topics=(ingest.USAGE_HISTORY,),
    folds=(USE,),
    waits_for="use",
    keeps_ids=True,
)
LANES = (CONTROL, PERSONS, LIVE, HISTORY)
