"""What is known of an account, and since when: its states, what withdraws, describes, moves them.

A set of records, never a list: whatever order they come in, the same is known (P22). An account's
timeline as of an instant is folded from what was recorded up to then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from services.metrics.model.identity import (
    FactName,
    Record,
    in_force,
    judged,
    name_of,
    voided,
)
from services.metrics.model.intervals import Believed, Change, Version
from services.metrics.model.objects import objects_of
from services.metrics.model.restated import Cause
from services.metrics.model.state import PricedState, priced
from services.metrics.model.timeline import Step, Timeline, timeline_of
from shared.events.billing import (
    AnyFact,
    ObjectName,
    ProviderObject,
    SubscriptionState,
    Void,
)
from shared.events.facts import content_digest, fact_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
ALIASED_SOURCE = "stripe"  # events.md 4: its customer ids are mapped to accounts


class Place(NamedTuple):
    """Where a record stands in the log of facts."""

    part: int
    offset: int


class RawRecord(NamedTuple):
    """A fact as an event brought it, word for word."""

    name: FactName
    place: Place
    recorded_at: datetime
    raw: str


class StateRecord(NamedTuple):
    """A subscription's state as it was recorded first. `account` is the one it was sent for.

    `priced` is None where the state names objects: then what is known of these prices it.
    """

    name: FactName
    account: str
    recorded_at: datetime
    place: Place
    priced: PricedState | None
    state: SubscriptionState | None

    @property
    def subscription(self) -> str:
        """Whose state it is."""
        return self._told.subscription

    @property
    def effective_at(self) -> datetime:
        """From when on it is true."""
        return self._told.effective_at

    @property
    def _told(self) -> PricedState | SubscriptionState:
        told = self.priced or self.state
        assert told is not None, self.name
        return told


class VoidRecord(NamedTuple):
    """A void as it was recorded first."""

    void: Void
    recorded_at: datetime


class ObjectRecord(NamedTuple):
    """A provider's object as a look-up returned it at some time."""

    name: FactName
    described: ProviderObject
    recorded_at: datetime


class Alias(NamedTuple):
    """An event told that `customer`, an id of the billing system's, is our `account`."""

    customer: str
    account: str
    event: str
    at: datetime
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """All that may speak of one account, whenever it became known."""

    account: str
    states: Sequence[StateRecord]
    """Sent for the account, or for a customer that some event called this account."""
    contested: frozenset[str] = frozenset()
    """Those of its subscriptions that were said to be of other accounts too."""
    rivals: Sequence[StateRecord] = ()
    """The states of these that were sent for others."""
    voids: Sequence[VoidRecord] = ()
    objects: Sequence[ObjectRecord] = ()
    aliases: Sequence[Alias] = ()


def versions_of(knowledge: Knowledge, since: datetime) -> list[Version[datetime, Step]]:
    """The account's steps by their instants, at `since` and each time that more was known then."""
    return [
        Version(at, {step.at: step for step in timeline_at(knowledge, at)})
        for at in _instants(knowledge, since)
    ]


class Appended(NamedTuple):
    """Steps that only came behind those that are believed, and all steps now."""

    change: Change[datetime, Step]
    after: Timeline


def appended_to(
    knowledge: Knowledge, kept: Sequence[Believed[datetime, Step]], since: datetime
) -> Appended | None:
    """The change where all that was learned from `since` on continues the account's past in order.

    So it is as a rule, and then one fold tells every version: each state adds its step from its
    record time on, and nothing that was believed ceases to be. None where it is not so.
    """
    if knowledge.voids or knowledge.aliases or knowledge.objects or knowledge.contested:
        return None
    learned = [record for record in knowledge.states if record.recorded_at >= since]
    known_from = recorded_in_order(learned)
    if not known_from:
        return None
    begin = min(known_from)
    past = (record.priced for record in knowledge.states if record.recorded_at < since)
    if any(state is None or state.effective_at >= begin for state in past) or any(
        row.key >= begin or row.known_to is not None or row.known_from >= since for row in kept
    ):
        return None
    after = timeline_at(knowledge, max(known_from.values()))
    added = [step for step in after if step.at >= begin]
    if len(after) - len(added) != len(kept):
        return None
    rows = [Believed(step.at, step, known_from[step.at], None) for step in added]
    return Appended(Change(added=rows, closed=(), removed=()), after)


def recorded_in_order(learned: Sequence[StateRecord]) -> dict[datetime, datetime]:
    """When the state of each instant was recorded, if they were in order of their instants.

    Nothing where they were not, or where one has turns to come: those may cease to be believed.
    """
    known_from: dict[datetime, datetime] = {}
    latest: datetime | None = None
    for record in sorted(learned, key=_instants_of):
        if record.priced is None or len(record.priced.turns) != 1:
            return {}
        at = record.priced.effective_at
        if latest is not None and at < latest:
            return {}
        if known_from.setdefault(at, record.recorded_at) != record.recorded_at:
            return {}
        latest = at
    return known_from


def _instants_of(record: StateRecord) -> tuple[datetime, datetime]:
    """When a state was recorded, and when it came true."""
    return record.recorded_at, _instant(record)[1]


def _instants(knowledge: Knowledge, since: datetime) -> list[datetime]:
    known: Iterable[StateRecord | VoidRecord | ObjectRecord | Alias] = chain(
        knowledge.states, knowledge.voids, knowledge.objects, knowledge.aliases
    )
    times = {record.recorded_at for record in known if record.recorded_at >= since}
    # Also where a record that counted until now was found to be no fact of the account.
    return sorted({since, *times})


def timeline_at(knowledge: Knowledge, known_at: datetime) -> tuple[Step, ...]:
    """The account's steps by what was recorded up to and at `known_at` (P21)."""
    return timeline_of(states_at(knowledge, known_at))


def states_at(knowledge: Knowledge, known_at: datetime) -> list[PricedState]:
    """The account's states that counted by then, with what they were worth by then."""
    gone = _gone(knowledge, known_at)
    standing, owners = _claimed(knowledge, known_at, gone)
    own = [
        each.record
        for each in standing
        if each.home == knowledge.account
        and owners.get(each.record.subscription, each.home) == each.home
    ]
    described = [record for record in knowledge.objects if record.name not in gone]
    return list(_priced(own, described, known_at))


class Refused(NamedTuple):
    """A state that counts nowhere: its subscription was `owner`'s before it was said `account`'s.

    `sent_for`: the account or customer that the fact itself names.
    """

    name: FactName
    subscription: str
    sent_for: str
    account: str
    owner: str


def refused_at(knowledge: Knowledge, known_at: datetime) -> list[Refused]:
    """The states among those of the account that did not count by then, by name."""
    standing, owners = _claimed(knowledge, known_at, _gone(knowledge, known_at))
    return sorted(
        Refused(record.name, record.subscription, record.account, home, owner)
        for record, home in standing
        if (owner := owners.get(record.subscription, home)) != home
    )


class Homed(NamedTuple):
    """A state that is not void, and the account that it belongs to."""

    record: StateRecord
    home: str


def _claimed(
    knowledge: Knowledge, known_at: datetime, gone: Collection[FactName]
) -> tuple[list[Homed], dict[str, str]]:
    """The states that stand, and whose the subscriptions are that several accounts name.

    A subscription is of the account that was said first to have it, by record time and then by the
    place in the log: what arrived first is no information. Voiding a claim gives it up.
    """
    aliases = [alias for alias in knowledge.aliases if alias.recorded_at <= known_at]

    def standing(records: Iterable[StateRecord]) -> list[Homed]:
        return [
            Homed(record, home_of(record, aliases))
            for record in records
            if record.recorded_at <= known_at and record.name not in gone
        ]

    own = standing(knowledge.states)
    if not knowledge.contested:
        return own, {}
    claims = [*own, *standing(knowledge.rivals)]
    owners: dict[str, str] = {}
    for record, home in sorted(claims, key=lambda claim: _age(claim.record)):
        owners.setdefault(record.subscription, home)
    return own, owners


def _age(record: StateRecord) -> tuple[datetime, Place]:
    return record.recorded_at, record.place


def _gone(knowledge: Knowledge, known_at: datetime) -> frozenset[FactName]:
    """The facts that were withdrawn by then."""
    return voided(record.void for record in knowledge.voids if record.recorded_at <= known_at)


def _priced(
    records: Iterable[StateRecord], described: Sequence[ObjectRecord], known_at: datetime
) -> Iterable[PricedState]:
    objects = objects_of(record.described for record in described if record.recorded_at <= known_at)
    for record in records:
        if record.priced is not None:
            yield record.priced
        elif record.state is not None:
            yield priced(record.state, objects)


def learned_at(knowledge: Knowledge, at: datetime) -> list[FactName]:
    """The facts that speak of the account, with voids, objects and others' claims, of `at`."""
    claims = chain(knowledge.states, knowledge.rivals)
    states = [record.name for record in claims if record.recorded_at == at]
    voids = [name_of(record.void) for record in knowledge.voids if record.recorded_at == at]
    objects = [record.name for record in knowledge.objects if record.recorded_at == at]
    return sorted({*states, *voids, *objects})


def cause_at(knowledge: Knowledge, at: datetime) -> Cause:
    """Why what was learned at `at` restates the account: a correction says something else of an
    instant of which a state was known, what merely came after its time is late (D22, D23).
    """
    if any(alias.recorded_at == at for alias in knowledge.aliases):
        return Cause.MAPPING
    if any(record.recorded_at == at for record in knowledge.voids):
        return Cause.VOID
    if any(record.recorded_at == at for record in knowledge.objects):
        return Cause.CORRECTION
    taken = {_instant(record) for record in knowledge.states if record.recorded_at < at}
    learned = {_instant(record) for record in knowledge.states if record.recorded_at == at}
    return Cause.CORRECTION if taken & learned else Cause.LATE


def _instant(record: StateRecord) -> tuple[str, datetime]:
    """Of which instant of which subscription a state tells."""
    return record.subscription, record.effective_at


def unresolved_at(knowledge: Knowledge, known_at: datetime) -> set[str]:
    """Ids of the objects that states name and nobody had told of by then."""
    return {name for state in states_at(knowledge, known_at) for name in state.unresolved}


def home_of(record: StateRecord, aliases: Sequence[Alias]) -> str:
    """The account that a state belongs to, by the aliases known: the one told last."""
    if not aliases or record.name.source != ALIASED_SOURCE:
        return record.account
    return account_of_customer(record.account, aliases)


def account_of_customer(customer: str, aliases: Iterable[Alias]) -> str:
    """The account that a customer was last said to be; itself where nobody said one."""
    told = [alias for alias in aliases if alias.customer == customer]
    return max(told, key=lambda alias: (alias.at, alias.event)).account if told else customer


def homes_of(account: str, aliases: Iterable[Alias]) -> set[str]:
    """Every account that facts sent for `account` belong to, or did at some time."""
    told = {alias.account for alias in aliases if alias.customer == account}
    return {account, account_of_customer(account, aliases), *told}


# --- which records stand -------------------------------------------------------------------------


class Standing(NamedTuple):
    """The record of each fact that stands, and those that said something else under its name."""

    records: Mapping[FactName, RawRecord]
    conflicts: Sequence[RawRecord]


def standing_of(records: Iterable[RawRecord]) -> Standing:
    """The first recorded of each fact (P22), whatever came first."""
    by_name: dict[FactName, list[RawRecord]] = {}
    for record in records:
        by_name.setdefault(record.name, []).append(record)
    standing = {name: listed[0] for name, listed in by_name.items()}
    conflicts: list[RawRecord] = []
    for name, listed in by_name.items():
        if len(listed) > 1:
            standing[name], others = _first_of(listed)
            conflicts += others
    return Standing(standing, conflicts)


def _first_of(records: Sequence[RawRecord]) -> tuple[RawRecord, list[RawRecord]]:
    in_log = sorted(records, key=lambda record: record.place, reverse=True)
    by_saying = {(digest_of(record), record.recorded_at): record for record in in_log}
    # The log's order again; of records that say the same at one instant the first is left.
    judgement = judged(Record(records[0].name, *saying) for saying in reversed(by_saying))
    found = [by_saying[one.digest, one.recorded_at] for one in judgement.conflicts]
    (first,) = judgement.standing
    return by_saying[first.digest, first.recorded_at], found


def digest_of(record: RawRecord) -> str:
    """What stands for the content of a record, `recorded_at` apart."""
    return content_digest(record.raw.encode(), read_again(record.raw))


def facts_in_force(records: Iterable[RawRecord]) -> list[AnyFact]:
    """The facts that stand and that no void among the records withdraws, voids left out."""
    return in_force(
        with_record_time(read_again(record.raw), record.recorded_at)
        for record in standing_of(records).records.values()
    )


# --- what a fact speaks of -----------------------------------------------------------------------


def target_of(fact: AnyFact) -> str | None:
    """The fact that a void withdraws, or the object that a provider's object describes."""
    match fact:
        case Void():
            return fact.target
        case ProviderObject():
            return fact.object_id
    return None


def named_in(fact: AnyFact) -> list[str]:
    """Ids of the objects that may go into a state's price, in order; none if it says all itself."""
    if not isinstance(fact, SubscriptionState):
        return []
    discounts = [*fact.discounts, *chain.from_iterable(item.discounts for item in fact.items)]
    named = {discount.object_id for discount in discounts if discount.object_id is not None}
    named |= {item.tiers.object_id for item in fact.items if isinstance(item.tiers, ObjectName)}
    if named or any(discount.products is not None for discount in discounts):
        # A discount that takes only from some products needs to know each price's product.
        named |= {item.price for item in fact.items if item.product is None}
    return sorted(named)


def coupons_named(objects: Iterable[ProviderObject]) -> set[str]:
    """Ids of the coupons that discounts only name."""
    named: set[str] = set()
    for described in objects:
        source = described.object.get("source")
        told = source if isinstance(source, Mapping) else described.object
        coupon = told.get("coupon")
        if isinstance(coupon, str):
            named.add(coupon)
    return named


def with_record_time(fact: AnyFact, recorded_at: datetime) -> AnyFact:
    """The fact with the time it was recorded at, whatever it says itself."""
    return msgspec.structs.replace(fact, recorded_at=recorded_at)


def read_again(raw: str) -> AnyFact:
    """A fact that was read before. What was neither too old nor too far ahead then is not now."""
    said = msgspec.json.decode(raw, type=dict[str, Any])
    said.pop("recorded_at", None)
    told = said.get("effective_at")
    at = EPOCH if told is None else datetime.fromisoformat(told)
    return fact_of(said, received_at=at)
