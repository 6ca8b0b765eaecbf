"""From where an account's books can be carried on, so that a new fact need not refold its past.

Only a cache: the fold over all facts says the same, and is taken where facts do not come in order.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from services.metrics.model.intervals import Believed
from services.metrics.model.knowledge import Knowledge, StateRecord, recorded_in_order, states_at
from services.metrics.model.state import PricedState
from services.metrics.model.timeline import Step, Timeline, first_paid_at, in_order, timeline_of
from shared.events.billing import Status


class Continuation(NamedTuple):
    """Where the books of an account stand.

    `states`: the latest of each subscription. `settled_at`: nothing begins or changes after it.
    `learned_at`: when the last of its facts was recorded.
    """

    states: tuple[PricedState, ...]
    settled_at: datetime
    learned_at: datetime
    first_paid_at: datetime | None


def continuation_of(knowledge: Knowledge, timeline: Timeline) -> Continuation | None:
    """From where the account's books can be carried on; None where more than its states decides.

    A trial may keep what was paid before it (P04), which its own state does not tell.
    """
    if knowledge.voids or knowledge.aliases or knowledge.objects or knowledge.contested:
        return None
    if not knowledge.states or any(record.priced is None for record in knowledge.states):
        return None
    learned_at = max(record.recorded_at for record in knowledge.states)
    latest = _latest(states_at(knowledge, learned_at))
    if any(state.status is Status.TRIALING for state in latest):
        return None
    last_steps = [timeline[-1].at] if timeline else []
    return Continuation(
        states=latest,
        settled_at=max(
            chain((record.effective_at for record in _priced(knowledge.states)), last_steps)
        ),
        learned_at=learned_at,
        first_paid_at=first_paid_at(timeline),
    )


class CarriedOn(NamedTuple):
    """The steps that came behind, and from where to carry on next."""

    added: list[Believed[datetime, Step]]
    continuation: Continuation | None


def carried_on(before: Continuation, learned: Sequence[StateRecord]) -> CarriedOn | None:
    """The books of an account with states that continue its past in order; None where they do not.

    None of the states is void, and no object or alias speaks of the account.
    """
    known_from = recorded_in_order(learned)
    if not known_from or min(known_from) <= before.settled_at:
        return None
    # At the same instant they only add to what was believed from it on: a bulk import cut in two.
    if min(known_from.values()) < before.learned_at:
        return None
    begin = min(known_from)
    states = [*before.states, *_priced(learned)]
    if any(state.status is Status.TRIALING for state in states):
        return None
    steps = [step for step in timeline_of(states) if step.at >= begin]
    after = Continuation(
        states=_latest(states),
        settled_at=max(known_from),
        learned_at=max(known_from.values()),
        first_paid_at=before.first_paid_at or first_paid_at(tuple(steps)),
    )
    return CarriedOn([Believed(s.at, s, known_from[s.at], None) for s in steps], after)


def _priced(records: Sequence[StateRecord]) -> list[PricedState]:
    return [record.priced for record in records if record.priced is not None]


def _latest(states: Sequence[PricedState]) -> tuple[PricedState, ...]:
    """The latest state of each subscription, by subscription."""
    latest = {state.subscription: state for state in in_order(states)}
    return tuple(latest.values())
