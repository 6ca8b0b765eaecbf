"""Loops: somebody said something, and a human owes that person a contact by some time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from shared.db import Tx, rows


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A loop as it stands. `follows`: the invitation of the answer, or the feedback item."""

    loop: str
    follows: str
    user: str | None
    account: str | None
    answer_class: str | None
    reason: str
    owner: str | None
    opened_at: datetime
    due_at: datetime
    contacted_at: datetime | None = None
    measured_class: str | None = None
    closed_at: datetime | None = None
    outcome: str | None = None


COLUMNS = (
    'loop, follows, "user", account, class, reason, owner, opened_at, due_at, contacted_at,'
    " measured_class, closed_at, outcome"
)


def _loop_of(row: Any) -> Loop:
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for the row as a mapping
    told["answer_class"] = told.pop("class")
    return Loop(**told)


async def append_loop(tx: Tx, workspace: str, loop: Loop) -> bool:
    """Add a loop; whether there was none of that id."""
    added = await rows(
        tx,
        'INSERT INTO loop (workspace, loop, follows, "user", account, class, reason, owner,'
        " opened_at, due_at) VALUES (:workspace, :loop, :follows, :user, :account, :class,"
        " :reason, :owner, :opened_at, :due_at) ON CONFLICT DO NOTHING RETURNING loop",
        {
            "workspace": workspace,
            "loop": loop.loop,
            "follows": loop.follows,
            "user": loop.user,
            "account": loop.account,
            "class": loop.answer_class,
            "reason": loop.reason,
            "owner": loop.owner,
            "opened_at": loop.opened_at,
            "due_at": loop.due_at,
        },
    )
    return bool(added)


async def get_loop(tx: Tx, workspace: str, loop: str) -> Loop | None:
    """A loop, locked; None where there is none."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM loop WHERE workspace = :workspace AND loop = :loop FOR UPDATE",
        {"workspace": workspace, "loop": loop},
    )
    return _loop_of(found[0]) if found else None


async def load_open(
    tx: Tx, workspace: str, *, users: Sequence[str], accounts: Sequence[str]
) -> list[Loop]:
    """The open loops of these people, and of these accounts, locked in the order of their ids."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM loop WHERE workspace = :workspace AND closed_at IS NULL"
        ' AND ("user" = ANY(CAST(:users AS text[])) OR account = ANY(CAST(:accounts AS text[])))'
        " ORDER BY loop FOR UPDATE",
        {"workspace": workspace, "users": list(users), "accounts": list(accounts)},
    )
    return [_loop_of(row) for row in found]


async def save_loop(tx: Tx, workspace: str, loop: Loop) -> None:
    """Keep what became of a loop."""
    await tx.execute(
        text(
            "UPDATE loop SET owner = :owner, contacted_at = :contacted_at,"
            " measured_class = :measured_class, closed_at = :closed_at, outcome = :outcome"
            " WHERE workspace = :workspace AND loop = :loop"
        ),
        {
            "workspace": workspace,
            "loop": loop.loop,
            "owner": loop.owner,
            "contacted_at": loop.contacted_at,
            "measured_class": loop.measured_class,
            "closed_at": loop.closed_at,
            "outcome": loop.outcome,
        },
    )


class Place(NamedTuple):
    """Where a loop stands in lists: when it is due, then its id."""

    due_at: datetime
    loop: str


async def list_loops(
    tx: Tx,
    workspace: str,
    *,
    is_open: bool | None,
    owner: str | None,
    after: Place | None,
    limit: int,
) -> list[Loop]:
    """Loops by when they are due."""
    asked, arguments = ["workspace = :workspace"], {"workspace": workspace, "limit": limit}
    if is_open is not None:
        asked.append(f"closed_at IS {'NULL' if is_open else 'NOT NULL'}")
    if owner is not None:
        asked.append("owner = :owner")
        arguments |= {"owner": owner}
    if after is not None:
        asked.append("(due_at, loop) > (:after_at, :after_loop)")
        arguments |= {"after_at": after.due_at, "after_loop": after.loop}
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM loop WHERE {' AND '.join(asked)}"
        " ORDER BY due_at, loop LIMIT :limit",
        arguments,
    )
    return [_loop_of(row) for row in found]
