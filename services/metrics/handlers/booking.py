"""Books accounts anew from what is known of them: their steps, and what they add to months.

Whoever calls holds the ledger of the workspace.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from services.metrics.model.identity import FactName, judged
from services.metrics.model.identity import Record as Identified
from services.metrics.model.intervals import Change, change_to
from services.metrics.model.knowledge import (
    Alias,
    Knowledge,
    ObjectRecord,
    StateRecord,
    VoidRecord,
    account_of_customer,
    coupons_named,
    named_in,
    read_again,
    versions_of,
    with_record_time,
)
from services.metrics.model.tally import EMPTY, Tally, tallies_of
from services.metrics.model.timeline import Step, Timeline, currencies_of
from services.metrics.store import accounts, facts, rollups, steps
from services.metrics.store.accounts import Account
from services.metrics.store.facts import RawRecord, StateRow
from services.metrics.store.ledger import Ledger
from services.metrics.store.rollups import Cell
from services.metrics.store.steps import StepRow
from shared.db import Tx
from shared.events.billing import ProviderObject, SubscriptionState, Void
from shared.events.facts import content_digest

ACCOUNTS_AT_ONCE = 500  # bounds memory, not the result

class Rebooked(NamedTuple):
    """An account whose steps are not what they were."""

    account: str
    before: Timeline
    after: Timeline
    change: Change[datetime, Step]


async def rebook(tx: Tx, ledger: Ledger, since: Mapping[str, datetime]) -> list[Rebooked]:
    """Fold accounts anew, each as more was known of it from an instant on; those that changed."""
    listed = sorted(since)
    rebooked: list[Rebooked] = []
    for start in range(0, len(listed), ACCOUNTS_AT_ONCE):
        chunk = {account: since[account] for account in listed[start : start + ACCOUNTS_AT_ONCE]}
        rebooked += await _rebook_chunk(tx, ledger, chunk)
    return rebooked


async def _rebook_chunk(
    tx: Tx, ledger: Ledger, since: Mapping[str, datetime]
) -> list[Rebooked]:
    known = await load_knowledge(tx, ledger, since)
    kept = await steps.list_believed(
        tx, ledger.workspace, since, since=min(since.values())
    )
    rebooked = [
        booked
        for account, at in since.items()
        if (booked := _rebooked(known[account], kept[account], at)) is not None
    ]
    await steps.save_changes(tx, ledger.workspace, {b.account: b.change for b in rebooked})
    await _count(tx, ledger, rebooked)
    return rebooked


def _rebooked(
    knowledge: Knowledge, kept: Sequence[StepRow], since: datetime
) -> Rebooked | None:
    versions = versions_of(knowledge, since)
    standing = [row for row in kept if row.known_to is None or row.known_to >= since]
    change = change_to(standing, versions)
    if not change:
        return None
    before = tuple(row.value for row in kept if row.known_to is None)
    after = tuple(step for _, step in sorted(versions[-1].values.items()))
    return Rebooked(knowledge.account, before, after, change)


async def _count(tx: Tx, ledger: Ledger, rebooked: Collection[Rebooked]) -> None:
    """Let the rollups hold what the accounts add now instead of what they added."""
    if not rebooked:
        return
    known = await accounts.load_accounts(tx, ledger.workspace, [b.account for b in rebooked])
    added: dict[Cell, Tally] = {}
    for booked in rebooked:
        account = known[booked.account]
        if account.counted:
            add_timeline(added, account, booked.before, ledger.time_zone, times=-1)
            add_timeline(added, account, booked.after, ledger.time_zone, times=1)
    await rollups.add(tx, ledger.workspace, added)
    had = {b.account: sorted(currencies_of(b.after)) for b in rebooked}
    await accounts.save_currencies(
        tx,
        ledger.workspace,
        {
            account: currencies
            for account, currencies in had.items()
            if tuple(currencies) != known[account].currencies
        },
    )


def add_timeline(
    added: dict[Cell, Tally], account: Account, timeline: Timeline, zone: str, *, times: int
) -> None:
    """Add what an account adds to each month, `times` 1 or -1, to every part that it is in.

    One that ever had several currencies stands in no rollup: a rate decides what its movements are.
    """
    currencies = currencies_of(timeline)
    if len(currencies) != 1:
        return
    (currency,) = currencies
    parts = rollups.parts_of(account.segment)
    for month, tally in tallies_of(timeline, currency, zone).items():
        more = tally if times == 1 else tally.negated()
        for part in parts:
            cell = Cell(part, month, currency)
            added[cell] = added.get(cell, EMPTY).plus(more)


# --- what is known -------------------------------------------------------------------------------


async def load_knowledge(
    tx: Tx, ledger: Ledger, wanted: Collection[str]
) -> dict[str, Knowledge]:
    """All that may speak of each of the accounts, whenever it became known."""
    workspace = ledger.workspace
    aliases = await accounts.list_aliases(tx, workspace, wanted)
    sent_for = {*wanted, *(alias.customer for alias in aliases)}
    listed = await facts.list_states(tx, workspace, sent_for)
    contested = await _contested(tx, ledger)
    states = _first_states(listed, contested)
    voids = _first_voids(await facts.list_voids(tx, workspace, sent_for), contested)
    objects = await _objects(tx, workspace, states)
    by_account: defaultdict[str, list[StateRecord]] = defaultdict(list)
    for state in states:
        by_account[state.account].append(state)
    said: defaultdict[str, list[Alias]] = defaultdict(list)
    for alias in aliases:
        said[alias.customer].append(alias)
    return {
        account: _knowledge(account, by_account, said, aliases, voids, objects)
        for account in wanted
    }


def _knowledge(
    account: str,
    by_account: Mapping[str, Sequence[StateRecord]],
    said: Mapping[str, Sequence[Alias]],
    aliases: Sequence[Alias],
    voids: Sequence[VoidRecord],
    objects: Sequence[ObjectRecord],
) -> Knowledge:
    customers = {account, *(alias.customer for alias in aliases if alias.account == account)}
    states = [state for customer in sorted(customers) for state in by_account.get(customer, ())]
    names = {state.name for state in states}
    return Knowledge(
        account=account,
        states=states,
        voids=_voids_of(names, voids),
        objects=objects if any(state.priced is None for state in states) else (),
        aliases=[alias for customer in customers for alias in said.get(customer, ())],
    )


def _voids_of(names: set[FactName], voids: Sequence[VoidRecord]) -> list[VoidRecord]:
    """The voids of these facts, and the voids of those voids."""
    reached, found = set(names), []
    waiting = list(voids)
    while hit := [v for v in waiting if FactName(v.void.source, v.void.target) in reached]:
        found += hit
        reached = {FactName(v.void.source, v.void.id) for v in hit}
        waiting = [v for v in waiting if v not in hit]
    return found


async def _contested(tx: Tx, ledger: Ledger) -> dict[FactName, RawRecord]:
    """The record that stands of each contested fact."""
    if not ledger.has_contested:
        return {}
    return standing_of(await facts.list_contested(tx, ledger.workspace))


def standing_of(records: Iterable[RawRecord]) -> dict[FactName, RawRecord]:
    """The record of each fact that stands: the first recorded (P22)."""
    by_place = {
        (record.name, digest_of(record), record.recorded_at): record for record in records
    }
    judgement = judged(Identified(*place) for place in by_place)
    return {
        standing.name: by_place[standing.name, standing.digest, standing.recorded_at]
        for standing in judgement.standing
    }


def digest_of(record: RawRecord) -> str:
    """What stands for the content of a record, `recorded_at` apart."""
    return content_digest(record.raw.encode(), read_again(record.raw))


def _first_states(
    listed: Sequence[StateRow], contested: Mapping[FactName, RawRecord]
) -> list[StateRecord]:
    first: dict[FactName, StateRow] = {}
    for row in listed:
        if row.name in contested and contested[row.name].event != row.event:
            continue
        if row.name not in first or row.recorded_at < first[row.name].recorded_at:
            first[row.name] = row
    return [
        StateRecord(
            row.name,
            row.account,
            row.recorded_at,
            row.priced,
            None
            if row.raw is None
            else cast("SubscriptionState", read_again(row.raw)),
        )
        for row in first.values()
    ]


def _first_voids(
    listed: Sequence[RawRecord], contested: Mapping[FactName, RawRecord]
) -> list[VoidRecord]:
    first: dict[FactName, RawRecord] = {}
    for row in listed:
        if row.name in contested and contested[row.name].event != row.event:
            continue
        if row.name not in first or row.recorded_at < first[row.name].recorded_at:
            first[row.name] = row
    return [
        VoidRecord(
            cast("Void", with_record_time(read_again(row.raw), row.recorded_at)),
            row.recorded_at,
        )
        for row in first.values()
    ]


async def _objects(
    tx: Tx, workspace: str, states: Sequence[StateRecord]
) -> list[ObjectRecord]:
    """The objects that states name, and the coupons that discounts among these name."""
    named = {
        name for state in states if state.state is not None for name in named_in(state.state)
    }
    described = _described(await facts.list_objects(tx, workspace, named))
    coupons = coupons_named(record.described for record in described) - named
    return described + _described(await facts.list_objects(tx, workspace, coupons))


def _described(listed: Iterable[RawRecord]) -> list[ObjectRecord]:
    return [
        ObjectRecord(
            cast("ProviderObject", with_record_time(read_again(row.raw), row.recorded_at)),
            row.recorded_at,
        )
        for row in sorted(listed, key=lambda row: (row.recorded_at, row.event))
    ]


def homes_of(account: str, aliases: Iterable[Alias]) -> set[str]:
    """Every account that facts sent for `account` belong to, or did at some time."""
    told = {alias.account for alias in aliases if alias.customer == account}
    return {account, account_of_customer(account, aliases), *told}
