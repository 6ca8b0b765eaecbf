"""Loads what is known of accounts, out of every record that may speak of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar, cast

from services.metrics.model.identity import FactName
from services.metrics.model.knowledge import (
    Alias,
    Knowledge,
    ObjectRecord,
    Place,
    RawRecord,
    StateRecord,
    VoidRecord,
    coupons_named,
    named_in,
    read_again,
    standing_of,
    with_record_time,
)
from services.metrics.model.state import DISCOUNTS_CUSTOMERS
from services.metrics.store import accounts, claimants, facts
from services.metrics.store.claimants import Claim
from services.metrics.store.facts import StateRow
from shared.db import Tx
from shared.events.billing import ProviderObject, SubscriptionState, Void

R = TypeVar("R", StateRow, RawRecord)


async def get_knowledge(tx: Tx, workspace: str, wanted: Collection[str]) -> dict[str, Knowledge]:
    """All that may speak of each of the accounts, whenever it became known."""
    aliases = await accounts.list_aliases(tx, workspace, wanted)
    sent_for = {*wanted, *(alias.customer for alias in aliases)}
    claims = await claimants.list_claims(tx, workspace, sent_for)
    if rivals := {claim.account for claim in claims} - sent_for:
        aliases = await accounts.list_aliases(tx, workspace, {*wanted, *rivals})
        sent_for |= rivals
    contested = await _contested(tx, workspace)
    states = [
        _state(row) for row in _first(await facts.list_states(tx, workspace, sent_for), contested)
    ]
    named = {name for state in states if state.state is not None for name in named_in(state.state)}
    customers = {s.account for s in states if s.name.source == DISCOUNTS_CUSTOMERS}
    objects = await _objects(tx, workspace, named | customers, contested)
    discounted = customers & {one.described.object_id for one in objects}
    if discounted:
        raw = await facts.list_raw_states(tx, workspace, discounted)
        states = [_said_again(each, raw) if each.account in discounted else each for each in states]
    voids = [
        *await facts.list_voids(tx, workspace, sent_for),
        *await facts.list_voids_of_objects(tx, workspace, {o.name for o in objects}),
    ]
    told = [_void(row) for row in _first(voids, contested)]
    by_account: defaultdict[str, list[StateRecord]] = defaultdict(list)
    for state in states:
        by_account[state.account].append(state)
    said: defaultdict[str, list[Alias]] = defaultdict(list)
    for alias in aliases:
        said[alias.customer].append(alias)
    return {
        account: _knowledge(account, by_account, claims, said, aliases, told, objects)
        for account in wanted
    }


def _knowledge(
    account: str,
    by_account: Mapping[str, Sequence[StateRecord]],
    claims: Collection[Claim],
    said: Mapping[str, Sequence[Alias]],
    aliases: Sequence[Alias],
    voids: Sequence[VoidRecord],
    objects: Sequence[ObjectRecord],
) -> Knowledge:
    customers = {account, *(alias.customer for alias in aliases if alias.account == account)}
    states = [state for customer in sorted(customers) for state in by_account.get(customer, ())]
    shared = {claim.subscription for claim in claims if claim.account in customers}
    others = {claim.account for claim in claims if claim.subscription in shared} - customers
    rivals = [
        state
        for other in sorted(others)
        for state in by_account.get(other, ())
        if state.subscription in shared
    ]
    described = objects if any(state.priced is None for state in states) else ()
    names = {
        *(record.name for record in (*states, *rivals)),
        *(one.name for one in described),
    }
    return Knowledge(
        account=account,
        states=states,
        contested=frozenset(shared),
        rivals=rivals,
        voids=_voids_of(names, voids),
        objects=described,
        aliases=[
            alias for customer in sorted(customers | others) for alias in said.get(customer, ())
        ],
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


async def _contested(tx: Tx, workspace: str) -> dict[FactName, RawRecord]:
    """The record that stands of each contested fact: they are few."""
    return dict(standing_of(await facts.list_contested(tx, workspace)).records)


def _first(listed: Sequence[R], contested: Mapping[FactName, RawRecord]) -> list[R]:
    """The record of each fact that stands, if it is among those listed."""
    first: dict[FactName, R] = {}
    for row in listed:
        if row.name in contested and contested[row.name].place != row.place:
            continue
        if row.name not in first or _age(row) < _age(first[row.name]):
            first[row.name] = row
    return list(first.values())


def _age(row: StateRow | RawRecord) -> tuple[datetime, Place]:
    return row.recorded_at, row.place


def _state(row: StateRow) -> StateRecord:
    said = None if row.raw is None else cast("SubscriptionState", read_again(row.raw))
    return StateRecord(row.name, row.account, row.recorded_at, row.place, row.priced, said)


def _said_again(record: StateRecord, raw: Mapping[tuple[FactName, Place], str]) -> StateRecord:
    """The state with all that it says, to be priced by more than that."""
    said = cast("SubscriptionState", read_again(raw[record.name, record.place]))
    return record._replace(priced=None, state=said)


def _void(row: RawRecord) -> VoidRecord:
    void = with_record_time(read_again(row.raw), row.recorded_at)
    return VoidRecord(cast("Void", void), row.recorded_at)


def _object(row: RawRecord) -> ObjectRecord:
    described = with_record_time(read_again(row.raw), row.recorded_at)
    return ObjectRecord(row.name, cast("ProviderObject", described), row.recorded_at)


async def get_objects(tx: Tx, workspace: str, named: Collection[str]) -> list[ObjectRecord]:
    """What is known of these objects, and of the coupons that discounts among them name."""
    return await _objects(tx, workspace, named, await _contested(tx, workspace))


async def _objects(
    tx: Tx,
    workspace: str,
    named: Collection[str],
    contested: Mapping[FactName, RawRecord],
) -> list[ObjectRecord]:
    listed = _first(await facts.list_objects(tx, workspace, named), contested)
    described = [_object(row) for row in listed]
    coupons = coupons_named(record.described for record in described) - set(named)
    more = _first(await facts.list_objects(tx, workspace, coupons), contested)
    return [*described, *(_object(row) for row in more)]
