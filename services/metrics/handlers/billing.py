"""Billing facts as they come: kept, told from repeats and conflicts, and booked."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from services.metrics.handlers.booking import rebook
from services.metrics.model.identity import FactName
from services.metrics.model.knowledge import (
    Alias,
    account_of_customer,
    homes_of,
    named_in,
    standing_of,
)
from services.metrics.model.objects import NO_OBJECTS
from services.metrics.model.state import PricedState, priced
from services.metrics.store import accounts, facts
from services.metrics.store.facts import NewRecord
from services.metrics.store.ledger import add_repeats, load_ledger
from shared.bus.handlers import Batch
from shared.db import Tx
from shared.errors import PermanentError
from shared.events.base import Caused, Received
from shared.events.billing import AnyFact, ProviderObject, SubscriptionState, Void
from shared.events.facts import fact_of
from shared.events.ingest import BillingFactRecorded


class SubscriptionMoved(PermanentError):
    """A subscription is said to be of another account than before: which one pays is unclear."""

    code: ClassVar[str] = "subscription_moved"


async def facts_recorded(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the facts and book the accounts that they speak of, workspace by workspace."""
    by_workspace: defaultdict[str, list[NewRecord]] = defaultdict(list)
    for received in batch:
        if not received.envelope.synthetic:
            by_workspace[received.envelope.workspace].append(_record(received))
    caused: list[Caused] = []
    for workspace, records in sorted(by_workspace.items()):
        caused += await _book(tx, workspace, records)
    return caused


def _record(received: Received[BillingFactRecorded]) -> NewRecord:
    """The fact of an event, read as the edge read it. Raises BadFact."""
    raw = bytes(received.event.fact)
    fact = fact_of(raw, received_at=received.appended_at)
    return NewRecord(
        event=received.envelope.id,
        recorded_at=received.event.recorded_at or received.appended_at,
        raw=raw,
        fact=fact,
        priced=_priced_alone(fact),
    )


def _priced_alone(fact: AnyFact) -> PricedState | None:
    """What a state comes to that says all itself; None for any other fact."""
    if not isinstance(fact, SubscriptionState) or named_in(fact):
        return None
    return priced(fact, NO_OBJECTS)


async def _book(tx: Tx, workspace: str, records: Sequence[NewRecord]) -> Sequence[Caused]:
    ledger = await load_ledger(tx, workspace)
    names = {record.name for record in records}
    before = await facts.list_known(tx, workspace, names)
    await facts.append_records(tx, workspace, records)
    await add_repeats(tx, workspace, len(records) - len(names - before))
    repeated = _repeated(records, before)
    more, others = await _told_apart(tx, workspace, records, repeated)
    since = await _touched(tx, workspace, more)
    for account, at in others.items():
        since[account] = min(at, since.get(account, at))
    await rebook(tx, ledger, since)
    return ()


def _repeated(records: Iterable[NewRecord], before: Collection[FactName]) -> set[FactName]:
    """The facts of which there are several records now."""
    seen, repeated = set(before), set()
    for record in records:
        if record.name in seen:
            repeated.add(record.name)
        seen.add(record.name)
    return repeated


async def _told_apart(
    tx: Tx, workspace: str, records: Sequence[NewRecord], repeated: Collection[FactName]
) -> tuple[list[NewRecord], dict[str, datetime]]:
    """Repeats from conflicts (P22): the records that say something, and accounts in conflict."""
    if not repeated:
        return list(records), {}
    standing = standing_of(await facts.list_records(tx, workspace, repeated))
    stands = {record.event for record in standing.records.values()}
    contested = {record.name for record in standing.conflicts}
    await facts.append_contested(tx, workspace, contested)
    more = [record for record in records if record.name not in repeated or record.event in stands]
    return more, await facts.list_accounts_of(tx, workspace, contested)


async def _touched(tx: Tx, workspace: str, records: Sequence[NewRecord]) -> dict[str, datetime]:
    """The accounts that the records speak of, each with since when more is known of it."""
    states = [
        (record.fact, record.recorded_at)
        for record in records
        if isinstance(record.fact, SubscriptionState)
    ]
    voids = [record for record in records if isinstance(record.fact, Void)]
    described = [record for record in records if isinstance(record.fact, ProviderObject)]
    since: dict[str, datetime] = {}
    sent_for = {state.account for state, _ in states}
    aliases = await accounts.list_aliases(tx, workspace, sent_for) if sent_for else []
    await _refuse_moved(tx, workspace, [state for state, _ in states], aliases)
    for state, recorded_at in states:
        for account in homes_of(state.account, aliases):
            _note(since, account, recorded_at)
    if voids:
        at = min(record.recorded_at for record in voids)
        for account in await facts.list_accounts_voided(
            tx, workspace, {record.name for record in voids}
        ):
            await _note_homes(tx, workspace, since, account, at)
    if described:
        at = min(record.recorded_at for record in described)
        for account in await _naming(tx, workspace, described):
            await _note_homes(tx, workspace, since, account, at)
    return since


async def _note_homes(
    tx: Tx, workspace: str, since: dict[str, datetime], account: str, at: datetime
) -> None:
    for home in homes_of(account, await accounts.list_aliases(tx, workspace, [account])):
        _note(since, home, at)


def _note(since: dict[str, datetime], account: str, at: datetime) -> None:
    since[account] = min(at, since.get(account, at))


async def _naming(tx: Tx, workspace: str, described: Sequence[NewRecord]) -> set[str]:
    """The accounts whose states name these objects, or discounts of these coupons."""
    ids = {record.fact.object_id for record in described if isinstance(record.fact, ProviderObject)}
    discounts = await facts.list_discounts_of(tx, workspace, ids)
    return await facts.list_accounts_naming(tx, workspace, ids | discounts)


async def _refuse_moved(
    tx: Tx, workspace: str, states: Sequence[SubscriptionState], aliases: Sequence[Alias]
) -> None:
    """Raise SubscriptionMoved where a subscription was another account's before."""
    if not states:
        return
    owners = await facts.save_owners(
        tx, workspace, {state.subscription: state.account for state in reversed(states)}
    )
    for state in states:
        owner = owners[state.subscription]
        if state.account != owner and account_of_customer(
            state.account, aliases
        ) != account_of_customer(owner, aliases):
            raise SubscriptionMoved(
                f"subscription {state.subscription!r} is of account {owner!r},"
                f" fact {state.id!r} says {state.account!r}"
            )
