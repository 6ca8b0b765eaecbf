"""Route of reconciliations: the billing system's own list against our books."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT, ViewBody, view_fields
from services.metrics.api.parameters import Snapshot, as_of_or_now
from services.metrics.model.calendar import Month, month_at
from services.metrics.model.entries import Entry, read_entry
from services.metrics.model.knowledge import (
    ALIASED_SOURCE,
    Knowledge,
    account_of_customer,
    coupons_named,
    named_in,
    states_at,
)
from services.metrics.model.money import shown, worth
from services.metrics.model.objects import NO_OBJECTS, Objects, objects_of
from services.metrics.model.reconciliation import AccountDiffers, Differing, Side, compared
from services.metrics.model.state import DISCOUNTS_CUSTOMERS, PricedState, priced
from services.metrics.store import reports, steps
from services.metrics.store.accounts import list_aliases
from services.metrics.store.knowledge import get_knowledge, get_objects
from services.metrics.store.reports import View
from services.metrics.store.tide import get_known_until
from shared.auth import Reading
from shared.db import Tx
from shared.events.billing import ProviderObject, SubscriptionState
from shared.events.facts import BadFact
from shared.events.refusals import EventRefused

router = APIRouter()

MOST_SUBSCRIPTIONS = 10_000
ACCOUNTS_AT_ONCE = 500


class Reconciliation(BaseModel):
    """The subscriptions that the billing system has."""

    subscriptions: list[dict[str, Any]] = Field(
        max_length=MOST_SUBSCRIPTIONS,
        description="Each as a subscription_state fact says it: account, subscription, status,"
        " currency, items, and discounts, pause, ends_at where there are any. Or as Stripe's list"
        ' of subscriptions returns it, with `"object": "subscription"`, of any API version:'
        " tiers and discounts are taken from it where they are expanded, else from the"
        " provider_object facts, and its customer is the account that it was last said to be.",
    )
    as_of: str | None = Field(
        default=None, max_length=40, description="Business time of the list; now if left out."
    )
    complete: bool = Field(
        default=True,
        description="Whether it is all there is: then what only we have is a difference too.",
    )


class SideBody(BaseModel):
    """A subscription as one side has it."""

    status: str = Field(description="Its status.")
    currency: str = Field(description="ISO 4217.")
    mrr: str = Field(description="Minor units of its currency.")
    seats: int = Field(description="The sum of its licensed quantities.")

    @classmethod
    def of(cls, side: Side) -> "SideBody":
        """The side, shown."""
        return cls(
            status=side.state.status.value,
            currency=side.state.currency,
            mrr=shown(side.mrr),
            seats=side.state.seats,
        )


class DifferingBody(BaseModel):
    """A subscription that is worth something else on both sides."""

    subscription: str = Field(description="The subscription.")
    why: str = Field(
        description="missing_here, missing_there, currency, status, pause, unresolved, quantity"
        " or price: the first that explains it."
    )
    ours: SideBody | None = Field(description="Here; null: unknown here.")
    theirs: SideBody | None = Field(description="There; null: not in the list.")

    @classmethod
    def of(cls, differing: Differing) -> "DifferingBody":
        """The subscription, shown."""
        return cls(
            subscription=differing.subscription,
            why=differing.why.value,
            ours=None if differing.ours is None else SideBody.of(differing.ours),
            theirs=None if differing.theirs is None else SideBody.of(differing.theirs),
        )


class AccountDiffersBody(BaseModel):
    """An account whose MRR differs."""

    account: str = Field(description="The account.")
    ours: str = Field(description=f"MRR here. {AMOUNT}")
    theirs: str = Field(description="MRR by the list.")
    subscriptions: list[DifferingBody] = Field(description="Those that differ.")


class RefusedBody(BaseModel):
    """An entry that cannot be read."""

    index: int = Field(description="Its place in the list, from 0.")
    code: str = Field(description="Stable reason, as of facts.")
    message: str = Field(description="What is wrong, with the offending value.")


class ReconciliationBody(ViewBody):
    """How our books and the list compare."""

    as_of: datetime = Field(description="Business time of the comparison.")
    accounts: int = Field(description="Accounts compared.")
    equal: int = Field(description="Those whose subscriptions are worth the same.")
    differences: list[AccountDiffersBody] = Field(description="The others, by account.")
    refused: list[RefusedBody] = Field(description="Entries that cannot be read.")


class Listed(NamedTuple):
    """The entries of a list by account, what they tell of objects, and those not to be read."""

    states: Mapping[str, Sequence[SubscriptionState]]
    told: Sequence[ProviderObject]
    refused: Sequence[RefusedBody]


@router.post("/reconciliations", summary="Compare with the billing system's own list")
async def reconcile(
    request: Request, caller: Reading, tx: Snapshot, asked: Reconciliation
) -> ReconciliationBody:
    """Each account whose MRR differs, and why. Nothing is changed."""
    at = as_of_or_now(asked.as_of, request)
    view = await reports.get_view(tx, caller.workspace)
    listed = await _listed(tx, view, asked.subscriptions, at)
    objects = await _objects(tx, view, listed)
    month, count = month_at(at, view.zone), 0
    differences: list[AccountDiffersBody] = []
    async for chunk in _accounts(tx, view, listed, complete=asked.complete):
        known = await get_knowledge(tx, view.workspace, chunk)
        count += len(chunk)
        for account in chunk:
            theirs = [priced(state, objects) for state in listed.states.get(account, ())]
            ours = _ours(known[account], theirs, complete=asked.complete)
            if (found := compared(account, ours, theirs, at)) is not None:
                differences.append(_body(found, view, month))
    return ReconciliationBody(
        **view_fields(view, await get_known_until(tx)),
        as_of=at,
        accounts=count,
        equal=count - len(differences),
        differences=differences,
        refused=list(listed.refused),
    )


async def _listed(tx: Tx, view: View, entries: Sequence[Mapping[str, Any]], at: datetime) -> Listed:
    read: list[Entry] = []
    refused: list[RefusedBody] = []
    for index, entry in enumerate(entries):
        try:
            read.append(read_entry(entry, at, name=f"entry {index}"))
        except (EventRefused, BadFact) as error:
            refused.append(RefusedBody(index=index, code=error.code, message=error.message))
    states = await _by_account(tx, view, [entry.state for entry in read])
    return Listed(states, [one for entry in read for one in entry.told], refused)


async def _by_account(
    tx: Tx, view: View, states: Sequence[SubscriptionState]
) -> Mapping[str, Sequence[SubscriptionState]]:
    """The states by whom they belong to, as facts with the same source and account would."""
    customers = {state.account for state in states if state.source == ALIASED_SOURCE}
    aliases = await list_aliases(tx, view.workspace, customers) if customers else []
    by_account: defaultdict[str, list[SubscriptionState]] = defaultdict(list)
    for state in states:
        is_customer = state.source == ALIASED_SOURCE
        home = account_of_customer(state.account, aliases) if is_customer else state.account
        by_account[home].append(state)
    return by_account


async def _objects(tx: Tx, view: View, listed: Listed) -> Objects:
    """What the list tells of objects, and what is known here of those that it only names."""
    states = [state for listed_states in listed.states.values() for state in listed_states]
    customers = {state.account for state in states if state.source == DISCOUNTS_CUSTOMERS}
    named = {name for state in states for name in named_in(state)} | coupons_named(listed.told)
    named |= customers
    if not named:
        return NO_OBJECTS
    known = await get_objects(tx, view.workspace, named)
    return objects_of([*(record.described for record in known), *listed.told])


async def _accounts(
    tx: Tx, view: View, listed: Listed, *, complete: bool
) -> AsyncIterator[list[str]]:
    """The accounts of the list, and ours too where it is complete, in chunks."""
    named = sorted(listed.states)
    for start in range(0, len(named), ACCOUNTS_AT_ONCE):
        yield named[start : start + ACCOUNTS_AT_ONCE]
    chunk: list[str] = []
    if complete:
        async for account, _ in steps.walk_timelines(tx, view.workspace):
            if account not in listed.states:
                chunk.append(account)
            if len(chunk) == ACCOUNTS_AT_ONCE:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _ours(
    known: Knowledge, theirs: Sequence[PricedState], *, complete: bool
) -> Sequence[PricedState]:
    """The account's states; of a list that is not complete only those of what it names."""
    # What was learned since the list was made may explain nothing of it.
    ours = states_at(known, datetime.max.replace(tzinfo=UTC))
    if complete:
        return ours
    named = {state.subscription for state in theirs}
    return [state for state in ours if state.subscription in named]


def _body(found: AccountDiffers, view: View, month: Month) -> AccountDiffersBody:
    return AccountDiffersBody(
        account=found.account,
        ours=shown(worth(found.ours, view.rates, month)),
        theirs=shown(worth(found.theirs, view.rates, month)),
        subscriptions=[DifferingBody.of(differing) for differing in found.subscriptions],
    )
