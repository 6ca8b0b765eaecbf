"""MRR and committed MRR at an instant, by what was recorded until then (P21, P23)."""

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import month_at
from services.metrics.model.money import NOTHING, Amounts, Rates, worth
from services.metrics.model.timeline import Timeline, amounts_at


class Point(NamedTuple):
    """What is worth at `instant`, and what of it and to come is agreed already."""

    instant: datetime
    mrr: Fraction
    cmrr: Fraction


def committed(timeline: Timeline) -> Amounts:
    """What the account is worth once every known schedule has run: future starts in, scheduled
    ends out, ending discounts gone, trials 0 (P23).
    """
    return timeline[-1].mrr if timeline else {}


def point_at(timelines: Iterable[Timeline], instant: datetime, rates: Rates, zone: str) -> Point:
    """MRR and CMRR at the rates of the month that holds `instant`.

    Timelines and rates come from the facts recorded up to `instant` and no others.
    """
    month = month_at(instant, zone)
    mrr = cmrr = NOTHING
    for timeline in timelines:
        mrr += worth(amounts_at(timeline, instant), rates, month)
        cmrr += worth(committed(timeline), rates, month)
    return Point(instant, mrr, cmrr)
