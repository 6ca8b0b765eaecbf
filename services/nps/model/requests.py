"""Product requests: who asked, how heavy that is, and whom a change of status is told (J31, C2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Status(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    PLANNED = "planned"
    STARTED = "started"
    SHIPPED = "shipped"
    DECLINED = "declined"


# What is shipped stays shipped: more of it is another request. A declined one may come back.
NEXT = {
    Status.OPEN: {Status.PLANNED, Status.STARTED, Status.SHIPPED, Status.DECLINED},
    Status.PLANNED: {Status.OPEN, Status.STARTED, Status.SHIPPED, Status.DECLINED},
    Status.STARTED: {Status.PLANNED, Status.SHIPPED, Status.DECLINED},
    Status.SHIPPED: set[Status](),
    Status.DECLINED: {Status.OPEN, Status.PLANNED},
}


@dataclass(frozen=True, kw_only=True)
class Vote:
    """A person who asks for it, and for which account; None: for nobody known."""

    user: str
    account: str | None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How much is behind a request. An account weighs once, however many of its people vote."""

    voters: int
    accounts: int
    mrr: Decimal


def may_become(old: Status, new: Status) -> bool:
    """Whether a request may go from a status to another; none goes to its own."""
    return new in NEXT[old]


def tally(votes: Iterable[Vote], mrr: Mapping[str, Decimal | None]) -> Tally:
    """What is behind a request; an account of unknown or negative MRR adds none."""
    known = list(votes)
    accounts = {vote.account for vote in known if vote.account is not None}
    return Tally(
        voters=len({vote.user for vote in known}),
        accounts=len(accounts),
        mrr=sum(
            (max(Decimal(0), mrr.get(account) or Decimal(0)) for account in sorted(accounts)),
            Decimal(0),
        ),
    )


def board(tallies: Mapping[str, Tally]) -> list[str]:
    """The requests, heaviest first: by MRR, then accounts, then people, then id."""
    return sorted(
        tallies,
        key=lambda each: (
            -tallies[each].mrr,
            -tallies[each].accounts,
            -tallies[each].voters,
            each,
        ),
    )


def to_tell(votes: Iterable[Vote]) -> list[str]:
    """Who hears of a change of status: whoever asked, each once, in order of id."""
    return sorted({vote.user for vote in votes})
