"""What a score says in words a customer-success manager can repeat to the customer."""

from datetime import datetime
from math import exp

from services.health.model.score import (
    SEEN_DAYS,
    SEEN_WEEKS,
    Habit,
    Scale,
    days_since_use,
    recent_active_days,
    recent_active_weeks,
)

A_WEEK = 7
NO_USE = "no use of the product so far"


def weeks_in_words(habit: Habit, at: datetime, scale: Scale) -> str:
    """How steady the use is: "11 active weeks of the last 13"."""
    active = recent_active_weeks(habit, at, scale)
    span = "week" if scale.week_days == A_WEEK else f"{scale.week_days}-day span"
    return f"{active or 'no'} active {span}{'' if active == 1 else 's'} of the last {SEEN_WEEKS}"


def days_in_words(habit: Habit, at: datetime) -> str:
    """How dense the use is: "9 active days of the last 30"."""
    active = recent_active_days(habit, at)
    return f"{active or 'no'} active day{'' if active == 1 else 's'} of the last {SEEN_DAYS}"


def gap_in_words(habit: Habit, at: datetime) -> str:
    """The current gap beside the usual one: "usually every 3 days, now 11"."""
    now = days_since_use(habit, at)
    if habit.usual_gap is None:
        return "used today for the first time" if now == 0 else f"used on one day, {_ago(now)}"
    usual = max(1, round(exp(habit.usual_gap)))
    every = "usually every day" if usual == 1 else f"usually every {usual} days"
    return f"{every}, last used today" if now == 0 else f"{every}, now {now}"


def _ago(days: int) -> str:
    return "yesterday" if days == 1 else f"{days} days ago"
