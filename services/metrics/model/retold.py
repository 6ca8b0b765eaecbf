"""What other rates make of an account's movements: some are new, or some are told otherwise.

Movements are told in the reporting currency, at the rates that were known then.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from services.metrics.model.calendar import Month, month_at, starts_at
from services.metrics.model.identity import FactName
from services.metrics.model.money import Rates
from services.metrics.model.movements import Kind, Movement, movements_of, revaluations_of
from services.metrics.model.timeline import Timeline, currencies_of


class Retold(NamedTuple):
    """`come`: movements that are in force and were not told. `months`: those of which something
    else was told; then nothing is told as new.
    """

    come: Sequence[Movement]
    months: Sequence[Month]


def retold_by_rates(
    timeline: Timeline, before: Rates, after: Rates, zone: str, until: datetime
) -> Retold:
    """What is to be told of the account's movements up to `until` at other rates."""
    through = month_at(until, zone)
    was = movements_of(timeline, before, zone, through)
    now = movements_of(timeline, after, zone, through)
    return _retold(was, now, zone, until)


def revalued_by_change(
    before: Timeline, after: Timeline, rates: Rates, zone: str, until: datetime
) -> Retold:
    """What is to be told of the account's `fx` movements up to `until`, now that its steps changed.

    Both may be the ends of timelines that are equal till then.
    """
    if (currencies_of(before) | currencies_of(after)) <= {rates.reporting}:
        return Retold((), ())
    through = month_at(until, zone)
    was = revaluations_of(before, rates, zone, through)
    now = revaluations_of(after, rates, zone, through)
    return _retold(was, now, zone, until)


def due_at(month: Month, recorded_at: datetime, zone: str) -> datetime:
    """When a rate of `month` begins to change what was told: with the month, or at once if late."""
    return max(recorded_at, starts_at(month, zone))


def without(rates: Rates, currency: str, month: Month) -> Rates:
    """The rates without the one of that month."""
    kept = tuple(rate for rate in rates.known.get(currency, ()) if rate.month != month)
    return Rates(rates.reporting, {**rates.known, currency: kept})


def facts_behind(
    before: Rates, after: Rates, stated: Iterable[tuple[str, Month]]
) -> list[FactName]:
    """The facts that state these rates, or did so before they were void; by name."""
    return sorted(
        {
            name
            for currency, month in stated
            for name in after.facts_of([currency], month) or before.facts_of([currency], month)
        }
    )


def _retold(was: Iterable[Movement], now: Iterable[Movement], zone: str, until: datetime) -> Retold:
    former, told = _marks(was, until), _marks(now, until)
    gone = [movement for mark, movement in former.items() if mark not in told]
    come = [movement for mark, movement in told.items() if mark not in former]
    if not gone:
        return Retold(come, ())
    return Retold((), sorted({month_at(movement.at, zone) for movement in (*gone, *come)}))


def _marks(movements: Iterable[Movement], until: datetime) -> dict[tuple[object, ...], Movement]:
    """The movements up to `until` by what they say."""
    return {
        (movement.at, movement.kind is Kind.FX, movement.amount, movement.mrr): movement
        for movement in movements
        if movement.at <= until
    }
