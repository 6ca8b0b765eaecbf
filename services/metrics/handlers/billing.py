"""Billing facts as they come: kept, told from repeats and conflicts, and booked."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.metrics.handlers.booking import Touch, Touches, rebook, touch
from services.metrics.handlers.publishing import publish
from services.metrics.model.calendar import Month
from services.metrics.model.identity import FactName
from services.metrics.model.knowledge import (
    Place,
    StateRecord,
    homes_of,
    named_in,
    standing_of,
)
from services.metrics.model.objects import NO_OBJECTS
from services.metrics.model.retold import due_at
from services.metrics.model.state import DISCOUNTS_CUSTOMERS, PricedState, priced
from services.metrics.store import accounts, facts
from services.metrics.store.claimants import Claim, append_claims
from services.metrics.store.facts import NewRecord
from services.metrics.store.ledger import Ledger, add_repeats, load_ledger
from services.metrics.store.rates import RateDue, Stated, append_due
from shared.bus.handlers import Batch
from shared.db import Tx
from shared.events.base import Caused, Received
from shared.events.billing import AnyFact, FxRate, ProviderObject, SubscriptionState, Void
from shared.events.facts import fact_of
from shared.events.ingest import BillingFactRecorded


async def facts_recorded(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the facts and book the accounts that they speak of, workspace by workspace."""
    by_workspace: defaultdict[str, list[NewRecord]] = defaultdict(list)
    for received in batch:
        if not received.envelope.synthetic:
            by_workspace[received.envelope.workspace].append(_record(received))
    caused: list[Caused] = []
    for workspace, records in sorted(by_workspace.items()):
        caused += await book(tx, workspace, records)
    return caused


def _record(received: Received[BillingFactRecorded]) -> NewRecord:
    """The fact of an event, read as the edge read it. Raises BadFact."""
    raw = bytes(received.event.fact)
    fact = fact_of(raw, received_at=received.appended_at)
    named = named_in(fact)
    return NewRecord(
        event=received.envelope.id,
        place=Place(received.partition, received.offset),
        appended_at=received.appended_at,
        recorded_at=received.event.recorded_at or received.appended_at,
        raw=raw,
        fact=fact,
        named=named,
        priced=None if named else _priced_alone(fact),
    )


def _priced_alone(fact: AnyFact) -> PricedState | None:
    """What a state comes to that names no object; None for any other fact."""
    return priced(fact, NO_OBJECTS) if isinstance(fact, SubscriptionState) else None


async def book(tx: Tx, workspace: str, records: Sequence[NewRecord]) -> Sequence[Caused]:
    """Keep the records of one workspace, and book the accounts that they speak of."""
    ledger = await load_ledger(tx, workspace)
    names = {record.name for record in records}
    before = await facts.list_known(tx, workspace, names)
    await facts.append_records(tx, workspace, records)
    await append_claims(tx, workspace, _claims(records))
    await add_repeats(tx, workspace, len(records) - len(names - before))
    repeated = _repeated(records, before)
    saying = await _told_apart(tx, workspace, records, repeated)
    touched = await _touched(tx, workspace, saying)
    await append_due(tx, [_due(ledger, *rate) for rate in touched.rates])
    rebooked = await rebook(tx, ledger, touched.touches, touched.learned)
    return await publish(tx, workspace, rebooked, now=max(record.appended_at for record in records))


def _claims(records: Iterable[NewRecord]) -> set[Claim]:
    """Whose the subscriptions are said to be, also by records that do not stand."""
    return {
        Claim(record.fact.subscription, record.fact.account)
        for record in records
        if isinstance(record.fact, SubscriptionState)
    }


def _repeated(records: Iterable[NewRecord], before: Collection[FactName]) -> set[FactName]:
    """The facts of which there are several records now."""
    seen, repeated = set(before), set()
    for record in records:
        if record.name in seen:
            repeated.add(record.name)
        seen.add(record.name)
    return repeated


class Saying(NamedTuple):
    """The records that say something, and since when accounts are in conflict over a name."""

    records: list[NewRecord]
    contested: Mapping[str, datetime]
    last_event: str


async def _told_apart(
    tx: Tx, workspace: str, records: Sequence[NewRecord], repeated: Collection[FactName]
) -> Saying:
    """Facts from repeats and conflicts (P22)."""
    if not repeated:
        return Saying(list(records), {}, records[-1].event)
    standing = standing_of(await facts.list_records(tx, workspace, repeated))
    stands = {record.place for record in standing.records.values()}
    contested = {record.name for record in standing.conflicts}
    await facts.append_contested(tx, workspace, contested)
    return Saying(
        [record for record in records if record.name not in repeated or record.place in stands],
        await facts.list_accounts_of(tx, workspace, contested),
        records[-1].event,
    )


class RateTold(NamedTuple):
    """A rate that was stated or withdrawn, and when that was recorded."""

    currency: str
    month: str
    recorded_at: datetime


def _due(ledger: Ledger, currency: str, month: str, recorded_at: datetime) -> RateDue:
    stated = Stated(currency, Month.of(month))
    due = due_at(stated.month, recorded_at, ledger.time_zone)
    return RateDue(ledger.workspace, due, stated)


class Touched(NamedTuple):
    """The accounts that records speak of; and of those of which only states were learned, these.

    `rates`: those that are told otherwise now, of whichever accounts.
    """

    touches: Touches
    learned: Mapping[str, Sequence[StateRecord]]
    rates: Collection[RateTold]


async def _touched(tx: Tx, workspace: str, saying: Saying) -> Touched:
    """The accounts that the records speak of, and how."""
    touches: Touches = {}
    learned = await _touch_by_states(tx, workspace, saying.records, touches)
    others: Touches = {}
    for account, at in saying.contested.items():
        touch(others, account, Touch(at, saying.last_event))
    objects: Touches = {}
    rates: set[RateTold] = set()
    for record in saying.records:
        how = Touch(record.recorded_at, record.event)
        if isinstance(record.fact, ProviderObject):
            touch(objects, record.fact.object_id, how)
        if isinstance(record.fact, FxRate):
            rates.add(RateTold(record.fact.currency, record.fact.month, record.recorded_at))
        if isinstance(record.fact, Void):
            reached = await facts.list_reached(tx, workspace, {record.name})
            await _touch_homes(tx, workspace, reached.accounts, how, others)
            rates |= {RateTold(*told, record.recorded_at) for told in reached.rates}
            for object_id in reached.object_ids:
                touch(objects, object_id, how)
    for object_id, how in objects.items():
        naming = await _naming(tx, workspace, {object_id})
        await _touch_homes(tx, workspace, naming, how, others)
    for account, how in others.items():
        touch(touches, account, how)
    alone = {account: states for account, states in learned.items() if account not in others}
    return Touched(touches, alone, rates)


async def _touch_by_states(
    tx: Tx, workspace: str, records: Iterable[NewRecord], touches: Touches
) -> dict[str, list[StateRecord]]:
    """Touch the accounts that states were sent for; their states, where no void or alias speaks."""
    states = [
        (record, record.fact) for record in records if isinstance(record.fact, SubscriptionState)
    ]
    if not states:
        return {}
    aliases = await accounts.list_aliases(tx, workspace, {state.account for _, state in states})
    voided = await facts.list_voided(tx, workspace, {record.name for record, _ in states})
    learned: defaultdict[str, list[StateRecord]] = defaultdict(list)
    for record, state in states:
        for account in homes_of(state.account, aliases):
            touch(touches, account, Touch(record.recorded_at, record.event))
        learned[state.account].append(
            StateRecord(
                record.name,
                state.account,
                record.recorded_at,
                record.place,
                record.priced,
                state,
            )
        )
    named = {alias.customer for alias in aliases} | {alias.account for alias in aliases}
    return {
        account: listed
        for account, listed in learned.items()
        if account not in named and not voided & {state.name for state in listed}
    }


async def _touch_homes(
    tx: Tx, workspace: str, sent_for: Collection[str], how: Touch, touches: Touches
) -> None:
    aliases = await accounts.list_aliases(tx, workspace, sent_for) if sent_for else []
    for account in sent_for:
        for home in homes_of(account, aliases):
            touch(touches, home, how)


async def _naming(tx: Tx, workspace: str, object_ids: set[str]) -> set[str]:
    """The accounts whose states name these objects, or discounts of these coupons; and customers
    that have such a discount.
    """
    discounts = await facts.list_discounts_of(tx, workspace, object_ids)
    return await facts.list_accounts_naming(
        tx, workspace, object_ids | discounts, source=DISCOUNTS_CUSTOMERS
    )
