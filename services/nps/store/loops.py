"""Loops: somebody said something, and a human owes that person a contact by some time."""

from dataclasses import dataclass
from datetime import datetime

from shared.db import Tx, rows


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A loop as it opens. `follows`: the invitation of the answer, or the feedback item."""

    loop: str
    follows: str
    user: str | None
    account: str | None
    answer_class: str | None
    reason: str
    owner: str | None
    opened_at: datetime
    due_at: datetime


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
