"""Messages and decisions as they are shown: what went, what did not, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.db import Tx, rows

# Beyond every place that a list can be at.
BEGINNING = 2**62
DECIDED = (
    "number, identity, at, due_at, outcome, reason, winner, rules::text AS rules, rule_version,"
    " tzdata"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which messages are asked for; None: any."""

    user: str | None = None
    account: str | None = None
    program: str | None = None
    state: str | None = None


async def list_decisions(
    tx: Tx, workspace: str, user: str, *, before: int, limit: int
) -> Sequence[Any]:
    """Decisions about a person's messages, the newest first, from a place on."""
    return await rows(
        tx,
        f"SELECT {DECIDED} FROM decision WHERE workspace = :workspace AND user_id = :user"
        " AND number < :before"
        " ORDER BY number DESC LIMIT :limit",
        {"workspace": workspace, "user": user, "before": before, "limit": limit},
    )


async def list_decisions_of(tx: Tx, workspace: str, identity: str, *, limit: int) -> Sequence[Any]:
    """Decisions about one message, the oldest first."""
    return await rows(
        tx,
        f"SELECT {DECIDED} FROM decision WHERE workspace = :workspace AND identity = :identity"
        " ORDER BY number LIMIT :limit",
        {"workspace": workspace, "identity": identity, "limit": limit},
    )


async def list_deliveries(
    tx: Tx, workspace: str, asked: Asked, *, before: tuple[datetime, str] | None, limit: int
) -> Sequence[Any]:
    """Messages by when they are due, the latest first, from a place on."""
    conditions = [
        f"m.{column} = :{name}"
        for column, name, value in (
            ("user_id", "user", asked.user),
            ("account", "account", asked.account),
            ("program", "program", asked.program),
            ("state", "state", asked.state),
        )
        if value is not None
    ]
    if before is not None:
        conditions.append("(m.due_at, m.identity) < (:due_at, :identity)")
    more = "".join(f" AND {condition}" for condition in conditions)
    due_at, identity = before or (None, None)
    return await rows(
        tx,
        f"SELECT m.* FROM message m WHERE m.workspace = :workspace{more}"
        " ORDER BY m.due_at DESC, m.identity DESC LIMIT :limit",
        {
            "workspace": workspace,
            "limit": limit,
            **{
                name: value
                for name, value in (
                    ("user", asked.user),
                    ("account", asked.account),
                    ("program", asked.program),
                    ("state", asked.state),
                    ("due_at", due_at),
                    ("identity", identity),
                )
                if value is not None
            },
        },
    )


async def get_message(tx: Tx, workspace: str, identity: str) -> Any | None:
    """A message with the digest of its letter; None where there is none of that identity."""
    found = await rows(
        tx,
        "SELECT m.*, l.message_id, l.subject, encode(l.digest, 'hex') AS digest FROM message m"
        " LEFT JOIN letter l ON l.workspace = m.workspace AND l.identity = m.identity"
        " WHERE m.workspace = :workspace AND m.identity = :identity",
        {"workspace": workspace, "identity": identity},
    )
    return found[0] if found else None


async def count_hits(tx: Tx, workspace: str, identity: str) -> Sequence[Any]:
    """How often a message was opened and clicked, by who did it; what is undecided is unknown."""
    return await rows(
        tx,
        "SELECT kind, coalesce(class, 'unknown') AS class_, count(*) AS times FROM hit"
        " WHERE workspace = :workspace AND identity = :identity AND kind IN ('open', 'click')"
        " GROUP BY kind, coalesce(class, 'unknown') ORDER BY kind, class_",
        {"workspace": workspace, "identity": identity},
    )
