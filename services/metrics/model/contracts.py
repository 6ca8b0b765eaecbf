"""Contracts: terms that renew by themselves (C3), and the window to opt out (C4).

All dates are civil, the last day always inside.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import MONTHS_A_YEAR
from services.metrics.model.money import NOTHING

OPT_OUT_DAYS = 90  # C4: no pilot, a real contract with a clause to cancel
CLOSING_LEAD_DAYS = 14  # how long before the window closes it is told
RENEWAL_LEAD_DAYS = 30  # how long before the last day to give notice a renewal is told
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A contract as last agreed. `term_months` None and `ends_on` None: it runs until cancelled."""

    contract: str
    account: str
    starts_on: date
    ends_on: date | None = None
    term_months: int | None = None
    auto_renew: bool = True
    notice_days: int | None = None
    opt_out_days: int = OPT_OUT_DAYS
    cancelled_on: date | None = None


class Term(NamedTuple):
    """One term of a contract, both days inside; number 1 is the first."""

    number: int
    starts_on: date
    ends_on: date


class Notice(StrEnum):
    """What is told of a contract."""

    OPT_OUT_CLOSING = "opt_out_closing"
    OPTED_OUT = "opted_out"
    RENEWAL_DUE = "renewal_due"
    RENEWED = "renewed"
    ENDED = "ended"


class Due(NamedTuple):
    """A notice that is due on `due_on`; `on` is the last day inside what it speaks of."""

    notice: Notice
    due_on: date
    on: date

    @property
    def days_left(self) -> int:
        """Days from the notice to the last day inside."""
        return (self.on - self.due_on).days


def opt_out_until(contract: Contract) -> date:
    """The last day on which the customer may opt out: the start and `opt_out_days` more (C4)."""
    return contract.starts_on + timedelta(days=contract.opt_out_days)


def within_opt_out(contract: Contract, on: date) -> bool:
    """Whether `on` is inside the window: day 90 is, day 91 is not (C4)."""
    return contract.starts_on <= on <= opt_out_until(contract)


def opted_out(contract: Contract) -> bool:
    """Whether the contract was cancelled inside its window: a loss with a line of its own, not
    churn (C4).
    """
    return contract.cancelled_on is not None and within_opt_out(contract, contract.cancelled_on)


def terms_of(contract: Contract, through: date) -> Iterator[Term]:
    """The terms that have begun by `through`. Renewal needs no event: without notice the next term
    begins by itself, if the contract renews (C3). One that runs on has none.
    """
    first = _first_end(contract)
    number, starts_on, ends_on = 1, contract.starts_on, first
    while ends_on is not None and starts_on <= through:
        if contract.cancelled_on is not None and contract.cancelled_on < starts_on:
            return
        yield Term(number, starts_on, ends_on)
        if not contract.auto_renew:
            return
        number, starts_on = number + 1, ends_on + DAY
        ends_on = _end_of_term(contract, number)


def last_day(contract: Contract) -> date | None:
    """The last day of the contract; None while it renews, or runs until it is cancelled."""
    if contract.cancelled_on is not None:
        return contract.cancelled_on
    return None if contract.auto_renew else _first_end(contract)


def notice_until(contract: Contract, term: Term) -> date:
    """The last day on which notice keeps the term from being renewed."""
    return term.ends_on - timedelta(days=contract.notice_days or 0)


def exceptions_to_renewal(contracts: Iterable[Contract]) -> list[Contract]:
    """The contracts that do not renew by themselves: the list that should be empty (C3)."""
    return sorted(
        (each for each in contracts if not each.auto_renew), key=lambda each: each.contract
    )


def notices_due(contract: Contract, after: date, through: date) -> list[Due]:
    """What is to be told of the contract on the days after `after` up to `through`, in order."""
    due = [each for each in _notices(contract, through) if after < each.due_on <= through]
    return sorted(due, key=lambda each: (each.due_on, each.notice))


def losses(ended: Iterable[tuple[Contract, Fraction]]) -> tuple[Fraction, Fraction]:
    """MRR lost by opting out, and by churn, of contracts that ended with what each was worth."""
    by_opt_out = by_churn = NOTHING
    for contract, mrr in ended:
        if opted_out(contract):
            by_opt_out += mrr
        else:
            by_churn += mrr
    return by_opt_out, by_churn


def _notices(contract: Contract, through: date) -> Iterator[Due]:
    cancelled = contract.cancelled_on
    closes = opt_out_until(contract)
    told = max(contract.starts_on, closes - timedelta(days=CLOSING_LEAD_DAYS))
    if cancelled is None or cancelled > told:
        yield Due(Notice.OPT_OUT_CLOSING, told, closes)
    if cancelled is not None:
        ended = Notice.OPTED_OUT if opted_out(contract) else Notice.ENDED
        yield Due(ended, cancelled, cancelled)
    for term in terms_of(contract, through + timedelta(days=RENEWAL_LEAD_DAYS)):
        if term.number > 1:
            yield Due(Notice.RENEWED, term.starts_on, term.ends_on)
        if cancelled is not None and cancelled <= term.ends_on:
            continue
        decide_by = notice_until(contract, term)
        if contract.auto_renew:
            told = max(term.starts_on, decide_by - timedelta(days=RENEWAL_LEAD_DAYS))
            yield Due(Notice.RENEWAL_DUE, told, decide_by)
        else:
            yield Due(Notice.ENDED, term.ends_on + DAY, term.ends_on)


def _first_end(contract: Contract) -> date | None:
    if contract.ends_on is not None:
        return contract.ends_on
    if contract.term_months is None:
        return None
    return months_later(contract.starts_on, contract.term_months) - DAY


def _end_of_term(contract: Contract, number: int) -> date:
    """The last day of the term with this number.

    Counted from the start, so that a 31st comes back after a short month; from a first end that
    was agreed apart, if there is one. Without term in months a term is as many days as the first.
    """
    if contract.term_months is not None:
        if contract.ends_on is None:
            return months_later(contract.starts_on, contract.term_months * number) - DAY
        return months_later(contract.ends_on + DAY, contract.term_months * (number - 1)) - DAY
    assert contract.ends_on is not None
    days = (contract.ends_on - contract.starts_on).days + 1
    return contract.starts_on + timedelta(days=days * number - 1)


def months_later(day: date, months: int) -> date:
    """The same day of the month so many months later; the month's last day if it has no such."""
    year, index = divmod(day.year * MONTHS_A_YEAR + day.month - 1 + months, MONTHS_A_YEAR)
    first_of_next = date(year + (index + 1) // MONTHS_A_YEAR, (index + 1) % MONTHS_A_YEAR + 1, 1)
    return min(first_of_next - DAY, date(year, index + 1, 1) + timedelta(days=day.day - 1))
