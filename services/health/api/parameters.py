"""How parameters are read: instants, steps, and the account that a path names."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

from fastapi import Path, Query, Request

from services.health.store.views import Known, get_account
from shared.auth import Caller
from shared.db import Tx
from shared.http import InvalidRequest, NotFound, instant_of

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # no product was used before
STEP = re.compile(r"([1-9]\d{0,3})([hdw])", re.ASCII)
STEP_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

AccountPath = Annotated[str, Path(description="The account's id.", examples=["acme"])]
AsOf = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Business time: only events before it count. RFC 3339, or a date alone, which"
        " means its first instant in UTC. Now where it is left out.",
        examples=["2026-03-01T00:00:00Z", "2026-03-01"],
    ),
]


class AccountUnknown(NotFound):
    """No event of this workspace named this account."""

    code: ClassVar[str] = "account_unknown"


def use_instant_of(name: str, given: str) -> datetime:
    """The instant that parameter `name` gives. Raises InvalidRequest for none, or before 1970."""
    instant = instant_of(name, given)
    if instant < EARLIEST:
        raise InvalidRequest(f"{name}: {given!r} lies before 1970")
    return instant


def instant_or_now(name: str, given: str | None, request: Request) -> datetime:
    """The instant that parameter `name` gives, now where it is left out."""
    if given is not None:
        return use_instant_of(name, given)
    now: datetime = request.app.state.clock()
    return now


def step_of(given: str) -> timedelta:
    """The span that `12h`, `1d` or `2w` stands for. Raises InvalidRequest for anything else."""
    found = STEP.fullmatch(given)
    if found is None:
        raise InvalidRequest(f"step: {given!r} is no span; write 12h, 1d or 2w")
    return int(found[1]) * STEP_UNITS[found[2]]


async def known_account(tx: Tx, caller: Caller, account: str) -> Known:
    """The account. Raises AccountUnknown, also where only another workspace has it."""
    # PostgreSQL keeps no NUL in a text, so no account has one in its id.
    known = None if "\0" in account else await get_account(tx, caller.workspace, account)
    if known is None:
        raise AccountUnknown(f"account {account!r} is not known in this workspace")
    return known
