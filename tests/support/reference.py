"""The usage score computed the plain way, sharing no code with the service it checks."""

import math
from collections.abc import Sequence
from datetime import datetime

DAY_SECONDS = 86_400


def reference_health(
    instants: Sequence[datetime], at: datetime, *, silence_days: int = 90
) -> float:
    """Health at `at`: every active day and week before it decays from its own first event."""
    unit = silence_days / 90
    week_days = max(1, round(7 * unit))
    days: dict[int, float] = {}
    weeks: dict[int, float] = {}
    for instant in instants:
        seconds = instant.timestamp()
        if instant < at:
            day = int(seconds // DAY_SECONDS)
            days[day] = min(seconds, days.get(day, math.inf))
            week = (day + 3) // week_days
            weeks[week] = min(seconds, weeks.get(week, math.inf))

    def left(firsts: dict[int, float], half_life_days: float) -> float:
        ages = ((at.timestamp() - first) / DAY_SECONDS for first in firsts.values())
        return sum(2 ** (-age / half_life_days) for age in ages)

    risk = (
        1.8
        - 0.75 * math.log(0.5 + left(days, 30 * unit))
        - 1.5 * math.log(0.5 + left(weeks, 90 * unit))
    )
    return 100 / (1 + math.exp(risk))
