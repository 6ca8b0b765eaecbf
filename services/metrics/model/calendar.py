"""Months of a tenant: half-open spans between local midnights of the first day (P20)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

MONTHS_A_YEAR = 12


class Month(NamedTuple):
    """A calendar month; they sort by time."""

    year: int
    number: int

    @classmethod
    def of(cls, text: str) -> "Month":
        """The month that `2026-01` names. Raises ValueError for any other text."""
        year, _, number = text.partition("-")
        if len(year) != len("2026") or len(number) != len("01"):
            raise ValueError(f"{text!r} is no month, such as 2026-01")
        month = cls(int(year), int(number))
        if not 1 <= month.number <= MONTHS_A_YEAR:
            raise ValueError(f"{text!r} is no month, such as 2026-01")
        return month

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def next(self) -> "Month":
        """The month after."""
        return self.plus(1)

    @property
    def previous(self) -> "Month":
        """The month before."""
        return self.plus(-1)

    def plus(self, months: int) -> "Month":
        """The month so many months later, or earlier."""
        year, number = divmod(self.year * MONTHS_A_YEAR + self.number - 1 + months, MONTHS_A_YEAR)
        return Month(year, number + 1)

    def since(self, earlier: "Month") -> int:
        """Months from `earlier` to this one; 0 for the same."""
        return (self.year - earlier.year) * MONTHS_A_YEAR + self.number - earlier.number


@lru_cache(maxsize=65536)
def starts_at(month: Month, zone: str) -> datetime:
    """The first instant of the month in `zone`, in UTC; it belongs to the month (P20).

    Where clocks jump over that midnight it is the instant of the jump; where they pass it twice
    it is the first time.
    """
    return datetime(month.year, month.number, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def ends_at(month: Month, zone: str) -> datetime:
    """The first instant after the month."""
    return starts_at(month.next, zone)


def month_at(instant: datetime, zone: str) -> Month:
    """The month of `zone` that holds `instant`."""
    local = instant.astimezone(ZoneInfo(zone))
    month = Month(local.year, local.month)
    # Clocks that go back just after midnight show the old month again, in the new one.
    if instant >= starts_at(month.next, zone):
        return month.next
    return month if instant >= starts_at(month, zone) else month.previous


def months_between(first: Month, last: Month) -> Iterator[Month]:
    """The months from `first` to `last`, both included."""
    for months in range(last.since(first) + 1):
        yield first.plus(months)
