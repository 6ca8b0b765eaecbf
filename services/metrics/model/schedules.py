"""What schedules of the billing system make of committed MRR once they have run (P23).

A schedule moves no MRR: what it does is told by the subscription's own states in their time.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple, TypeVar

import msgspec

from services.metrics.model.committed import committed
from services.metrics.model.money import NOTHING, Amounts
from services.metrics.model.objects import Content, Objects
from services.metrics.model.restated import less
from services.metrics.model.state import PricedState, priced
from services.metrics.model.timeline import timeline_of
from shared.events.billing import SubscriptionState
from shared.events.facts import BadFact, fact_of
from shared.events.refusals import EventRefused
from shared.stripe.discounts import Coupon
from shared.stripe.fields import SOURCE
from shared.stripe.prices import Price
from shared.stripe.schedule import Schedule, last_state

T = TypeVar("T")


class Scheduled(NamedTuple):
    """By how much an account's committed MRR is other than its states say, and the schedules of
    which it is not known, because they name what nobody has told.
    """

    change: Amounts
    unresolved: tuple[str, ...]


def schedule_in(content: Content) -> Schedule | None:
    """The schedule that an object is, if something of it is still to come."""
    schedule = _as(Schedule, content)
    return schedule if schedule is not None and schedule.is_open else None


def scheduled(
    states: Sequence[PricedState], schedules: Iterable[Schedule], objects: Objects, at: datetime
) -> Scheduled:
    """What the account's schedules, as told by `at`, make of its committed MRR."""
    known: dict[str, tuple[str, Fraction] | None] = {}
    unresolved: list[str] = []
    for schedule in schedules:
        try:
            known[schedule.subscribed] = _lasting(schedule, objects, at)
        except (EventRefused, BadFact):
            unresolved.append(schedule.id)
    others = [state for state in states if state.subscription not in known]
    run = dict(committed(timeline_of(others)))
    for worth in known.values():
        if worth is not None:
            currency, amount = worth
            run[currency] = run.get(currency, NOTHING) + amount
    return Scheduled(less(run, committed(timeline_of(states))), tuple(sorted(unresolved)))


def _lasting(schedule: Schedule, objects: Objects, at: datetime) -> tuple[str, Fraction] | None:
    """What the subscription is worth once the schedule has run; None where it ends with it.

    Raises EventRefused, BadFact.
    """
    if schedule.ends_it:
        return None
    said = last_state(
        schedule,
        lambda name: _as(Price, objects.at(name, at)),
        lambda name: _as(Coupon, objects.at(name, at)),
    )
    said |= {"id": schedule.id, "source": SOURCE}
    fact = fact_of(said, received_at=said["effective_at"])
    assert isinstance(fact, SubscriptionState)
    state = priced(fact, objects)
    if state.unresolved:
        raise EventRefused(f"schedule {schedule.id} names {', '.join(state.unresolved)}")
    return state.currency, state.turns[-1].mrr


def _as(form: type[T], content: Content | None) -> T | None:
    """The object in the provider's form; None where it is not known, or not of that form."""
    if content is None:
        return None
    try:
        return msgspec.convert(content, form)
    except msgspec.ValidationError:
        return None
