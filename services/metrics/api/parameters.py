"""How parameters are read: months, instants, groups of accounts."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from fastapi import Depends, Query, Request

from services.metrics.model.calendar import Month
from services.metrics.store.reports import Group
from services.metrics.store.snapshot import take_snapshot
from shared.db import Tx
from shared.http import InvalidRequest, Transaction, instant_of

EARLIEST = Month(1970, 1)  # nothing was ever sold before
LATEST = Month(9998, 12)  # the last whose end is an instant
MOST_MONTHS = 240

MonthText = Annotated[
    str,
    Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="A month.", examples=["2025-04"]),
]
KnownAt = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Record time: facts recorded up to and at it, in every field. RFC 3339, or a"
        " date alone, which means its first instant in UTC. All that is known where it is left out."
        " Final where it is not after `known_until`.",
        examples=["2026-03-01T00:00:00Z"],
    ),
]
AsOf = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Business time: what is true then. RFC 3339, or a date alone, which means its"
        " first instant in UTC. Now where it is left out.",
        examples=["2026-03-01T00:00:00Z"],
    ),
]
Named = Annotated[str | None, Query(max_length=256, pattern=r"^[^\x00]*$")]


async def _snapshot(tx: Transaction) -> Tx:
    await take_snapshot(tx)
    return tx


# Reports read account by account: an account that moves meanwhile would be counted twice, or never.
Snapshot = Annotated[Tx, Depends(_snapshot, scope="function")]


class ListFormat(StrEnum):
    """How a list is answered."""

    JSON = "json"
    CSV = "csv"


class Span(NamedTuple):
    """Months from `first` to `last`, both included."""

    first: Month
    last: Month


def _span(
    first: Annotated[
        str,
        Query(alias="from", pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="First month."),
    ],
    last: Annotated[
        str,
        Query(alias="to", pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="Last month, included."),
    ],
) -> Span:
    span = Span(Month.of(first), Month.of(last))
    if not EARLIEST <= span.first <= span.last <= LATEST:
        raise InvalidRequest(f"from {first} to {last} is no span of months from 1970 on")
    if span.last.since(span.first) >= MOST_MONTHS:
        raise InvalidRequest(f"from {first} to {last} is more than {MOST_MONTHS} months")
    return span


Months = Annotated[Span, Depends(_span)]


def _group(
    segment: Annotated[
        Named, Query(description="Only accounts whose latest known segment is this.")
    ] = None,
    tag: Annotated[Named, Query(description="Only accounts that have this tag.")] = None,
) -> Group:
    return Group(segment, tag)


Accounts = Annotated[Group, Depends(_group)]


def as_of_or_now(given: str | None, request: Request) -> datetime:
    """The business time that was asked for; now where it is left out."""
    if given is not None:
        return instant_of("as_of", given)
    now: datetime = request.app.state.clock()
    return now


def known_at_of(given: str | None) -> datetime | None:
    """The record time that was asked for; None for all that is known."""
    return None if given is None else instant_of("known_at", given)
