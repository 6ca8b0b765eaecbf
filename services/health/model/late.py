"""Which days of a batch carry a kept habit on, and which ones are late and undo it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from services.health.model.score import ActiveDay, Habit, Scale, with_day


def late_days(habit: Habit | None, days: Sequence[ActiveDay]) -> list[date]:
    """Those of `days` that lie before the newest day of `habit`."""
    return [] if habit is None else [day.day for day in days if day.day < habit.day]


def carried_on(
    habit: Habit | None,
    days: Sequence[ActiveDay],
    scale: Scale,
    *,
    known_first: Mapping[date, datetime],
) -> Habit | None:
    """`habit` after `days` (in day order); None when it must be folded anew from all days.

    `known_first` holds the first instants of late days as they were before this batch. An event
    that neither makes a day active nor begins one earlier changes no count, however late it is.
    """
    if habit is not None and habit.silence_days != scale.silence_days:
        return None
    for day in days:
        if habit is None or day.day > habit.day:
            habit = with_day(habit, day, scale)
            continue
        first_at = habit.day_at if day.day == habit.day else known_first.get(day.day)
        if first_at is None or day.first_at < first_at:
            return None
        if day.day == habit.day:
            habit = habit._replace(last_at=max(habit.last_at, day.last_at))
    return habit
