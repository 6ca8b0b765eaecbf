"""When the next contact by a person is due (C8): automated messages never count, and never move it.

Dates are civil dates in the account's zone.
"""

from calendar import monthrange
from datetime import date, timedelta
from enum import StrEnum

MONTHS_A_YEAR = 12


class MaxGap(StrEnum):
    """The longest time between two contacts. Several a week is read as a gap of two days."""

    MONTHLY = "P1M"
    WEEKLY = "P7D"
    SEVERAL_A_WEEK = "P2D"


GAP_OF_TIER = {
    "standard": MaxGap.MONTHLY,
    "important": MaxGap.WEEKLY,
    "most_important": MaxGap.SEVERAL_A_WEEK,
}


def due_on(last_contact_on: date, max_gap: MaxGap) -> date:
    """The last day on which the next contact is in time; a month ends where the next is shorter."""
    match max_gap:
        case MaxGap.MONTHLY:
            return _a_month_after(last_contact_on)
        case MaxGap.WEEKLY:
            return last_contact_on + timedelta(days=7)
        case MaxGap.SEVERAL_A_WEEK:
            return last_contact_on + timedelta(days=2)


def days_overdue(due: date, as_of: date) -> int:
    """Days since the due date; 0 on it and before."""
    return max(0, (as_of - due).days)


def _a_month_after(day: date) -> date:
    """The same day of the next month, its last day where it has no such."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month, MONTHS_A_YEAR)
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))
