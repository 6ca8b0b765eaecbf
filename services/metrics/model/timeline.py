"""An account's books: every instant at which what it is worth changes, and by which facts.

A pure function of the account's priced states, in whatever order they come. Scheduled effects are
steps like others, also those to come: there is no clock here, and no exchange rate.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from services.metrics.model.identity import FactName
from services.metrics.model.money import NOTHING, Amounts
from services.metrics.model.state import COUNTING, RESUMED, PricedState
from shared.events.billing import Status


class Step(NamedTuple):
    """From `at` on the account is worth `mrr`, until the next step.

    `past_due` is the part of it that is at risk (P09). `facts` took effect at that instant;
    `reason` is advisory (P27).
    """

    at: datetime
    mrr: Amounts
    past_due: Amounts
    facts: tuple[FactName, ...]
    reason: str


Timeline = tuple[Step, ...]
"""The steps of one account in order of time; before the first it is worth nothing."""


class Piece(NamedTuple):
    """From `at` on one subscription is worth `mrr`."""

    at: datetime
    subscription: str
    currency: str
    mrr: Fraction
    past_due: bool
    facts: tuple[FactName, ...]
    reason: str


def timeline_of(states: Iterable[PricedState]) -> Timeline:
    """The account's steps: its subscriptions summed, all of one instant in one step (P15)."""
    pieces: list[Piece] = []
    for _, of_one in groupby(in_order(states), key=attrgetter("subscription")):
        pieces.extend(pieces_of(list(of_one)))
    pieces.sort(key=attrgetter("at"))
    return tuple(_steps(pieces))


def in_order(states: Iterable[PricedState]) -> list[PricedState]:
    """The states by subscription, and of each in the order in which they came true (P22).

    A source may give two of one instant the same number, and say which follows which.
    """
    ordered = sorted(states, key=lambda state: (state.subscription, *state.order))
    if not any(state.follows for state in ordered):
        return ordered
    told: list[PricedState] = []
    for _, at_once in groupby(ordered, key=lambda s: (s.subscription, s.effective_at, s.seq)):
        told.extend(_in_chain(list(at_once)))
    return told


def _in_chain(states: list[PricedState]) -> Iterator[PricedState]:
    """Each state behind the one that it follows, as far as that is among them; else by id."""
    waiting = list(states)
    while waiting:
        free = (
            state
            for state in waiting
            if not any(
                other.digest == state.follows and other is not state
                for other in waiting
                if state.follows is not None and state.follows != state.digest
            )
        )
        first = next(free, waiting[0])
        waiting.remove(first)
        yield first


def pieces_of(states: list[PricedState]) -> Iterator[Piece]:
    """What one subscription is worth from when: at any t the latest state not after t (P22).

    `states` are in order. Of those of one instant only the last is ever worth something, but all
    are facts of that instant.
    """
    worth = NOTHING
    before: PricedState | None = None
    facts: tuple[FactName, ...] = ()
    for number, state in enumerate(states):
        facts += (state.name,)
        ends = states[number + 1].effective_at if number + 1 < len(states) else None
        if ends == state.effective_at:
            continue
        counts = state.status in COUNTING or free_month(state, worth)
        past_due = state.status is Status.PAST_DUE
        for turn in state.turns:
            if ends is not None and turn.at >= ends:
                break
            worth = turn.mrr if counts else NOTHING
            why = turn.why or reason_of(before, state)
            yield Piece(turn.at, state.subscription, state.currency, worth, past_due, facts, why)
            facts = (state.name,)
        before, facts = state, ()


def free_month(state: PricedState, worth: Fraction) -> bool:
    """Whether a trial keeps its MRR: it was entered from a paying state, worth `worth` until then
    (P04). Any other trial is 0 until it turns active (P03).
    """
    return state.status is Status.TRIALING and worth > 0


def reason_of(before: PricedState | None, state: PricedState) -> str:
    """Why a state moves MRR, in a word; advisory, never compared (P27)."""
    if before is None:
        return "started"
    if state.status is not before.status:
        return state.status.value if state.status not in COUNTING else f"after_{before.status}"
    if state.paused is not before.paused:
        return "paused" if state.paused else RESUMED
    if state.currency != before.currency:
        return "currency"
    return "seats" if state.seats != before.seats else "price"


def _steps(pieces: Iterable[Piece]) -> Iterator[Step]:
    """Steps where the sums over subscriptions change, from pieces in order of time."""
    standing: dict[str, Piece] = {}
    last: tuple[Amounts, Amounts] = ({}, {})
    for at, together in groupby(pieces, key=attrgetter("at")):
        new = list(together)
        standing |= {piece.subscription: piece for piece in new}
        mrr = _sums(standing.values())
        past_due = _sums(piece for piece in standing.values() if piece.past_due)
        if (mrr, past_due) != last:
            facts = dict.fromkeys(name for piece in new for name in piece.facts)
            reasons = dict.fromkeys(piece.reason for piece in new)
            yield Step(at, mrr, past_due, tuple(sorted(facts)), ", ".join(reasons))
            last = (mrr, past_due)


def _sums(pieces: Iterable[Piece]) -> Amounts:
    sums: dict[str, Fraction] = {}
    for piece in pieces:
        if piece.mrr:
            held = sums.get(piece.currency)
            sums[piece.currency] = piece.mrr if held is None else held + piece.mrr
    return sums


def amounts_at(timeline: Timeline, at: datetime) -> Amounts:
    """What the account is worth at `at`, steps of that instant included."""
    return _worth(timeline, bisect_right(timeline, at, key=attrgetter("at")))


def amounts_before(timeline: Timeline, at: datetime) -> Amounts:
    """What the account is worth just before `at`."""
    return _worth(timeline, bisect_left(timeline, at, key=attrgetter("at")))


def past_due_at(timeline: Timeline, at: datetime) -> Amounts:
    """The part of it at `at` whose payment is overdue: still MRR (P09), and at risk."""
    steps = bisect_right(timeline, at, key=attrgetter("at"))
    return timeline[steps - 1].past_due if steps else {}


def currencies_of(timeline: Timeline) -> frozenset[str]:
    """The currencies the account ever held MRR in."""
    return frozenset(currency for step in timeline for currency in step.mrr)


def in_common(timeline: Timeline, other: Timeline) -> int:
    """How many steps both begin with."""
    pairs = zip(timeline, other, strict=False)
    differing = (number for number, (one, two) in enumerate(pairs) if one != two)
    return next(differing, min(len(timeline), len(other)))


def first_paid_at(timeline: Timeline) -> datetime | None:
    """When the account first had MRR above 0 (P14); None if it never does."""
    return next((step.at for step in timeline if step.mrr), None)


def _worth(timeline: Timeline, steps: int) -> Amounts:
    return timeline[steps - 1].mrr if steps else {}
