"""The road of messages: claimed under a lease, handed over, ended. Every step checks the fence."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from services.cadence.model.caps import Claim, Purpose
from services.cadence.model.delivery import State, last_use
from services.cadence.model.message import Message, Step
from shared.db import Tx, rows

COLUMNS = (
    "m.workspace, m.identity, m.token, m.user_id, m.account, m.program, m.step, m.template,"
    " m.variant, m.channels, m.channel, m.pillar, m.purpose, m.topic, m.due_at, m.deadline,"
    " m.grace_seconds, m.facts, m.attempt, m.fence, m.zone, m.provider"
)


class Claims(NamedTuple):
    """A person's other messages: those that went out, and those that are still to go."""

    sent: list[Claim]
    planned: list[Claim]


async def get_now(tx: Tx) -> datetime:
    """The one clock of deliveries: the database's, at the beginning of the transaction."""
    (clock,) = await rows(tx, "SELECT now() AS now")
    now: datetime = clock.now
    return now


async def claim_due(tx: Tx, *, now: datetime, limit: int, lease: timedelta) -> list[Message]:
    """Messages whose time has come, the oldest first, leased to us under a new fence.

    Rows that others have locked are left out.
    """
    found = await rows(
        tx,
        "UPDATE message m SET state = 'claimed', fence = m.fence + 1, attempt = m.attempt + 1,"
        " lease_until = :until FROM (SELECT workspace, identity FROM message"
        " WHERE state = 'planned' AND try_at <= :now ORDER BY try_at, workspace, identity"
        " LIMIT :limit FOR UPDATE SKIP LOCKED) AS due"
        " WHERE m.workspace = due.workspace AND m.identity = due.identity"
        f" RETURNING {COLUMNS}",
        {"now": now, "until": now + lease, "limit": limit},
    )
    return sorted(map(_message, found), key=lambda message: (message.due_at, message.key))


async def return_expired(tx: Tx, *, now: datetime, limit: int, most_attempts: int) -> list[Message]:
    """Plan again what was claimed and never handed over; what was lost too often stays claimed
    under a fence of ours, and is answered: it may be what ends its workers.
    """
    found = await rows(
        tx,
        "UPDATE message m SET fence = m.fence + 1,"
        " state = CASE WHEN m.attempt < :most THEN 'planned' ELSE 'claimed' END,"
        " lease_until = CASE WHEN m.attempt < :most THEN NULL ELSE m.lease_until END"
        " FROM (SELECT workspace, identity FROM message"
        " WHERE state = 'claimed' AND lease_until < :now ORDER BY lease_until"
        " LIMIT :limit FOR UPDATE SKIP LOCKED) AS lost"
        " WHERE m.workspace = lost.workspace AND m.identity = lost.identity"
        f" RETURNING {COLUMNS}, m.state",
        {"now": now, "limit": limit, "most": most_attempts},
    )
    return [_message(row) for row in found if row.state == State.CLAIMED]


async def claim_expired(tx: Tx, *, now: datetime, limit: int) -> list[Message]:
    """What was handed over by somebody who never said how it ended, under a fence of ours."""
    found = await rows(
        tx,
        "UPDATE message m SET fence = m.fence + 1 FROM (SELECT workspace, identity FROM message"
        " WHERE state = 'handed_over' AND lease_until < :now ORDER BY lease_until"
        " LIMIT :limit FOR UPDATE SKIP LOCKED) AS lost"
        " WHERE m.workspace = lost.workspace AND m.identity = lost.identity"
        f" RETURNING {COLUMNS}",
        {"now": now, "limit": limit},
    )
    return sorted(map(_message, found), key=lambda message: message.key)


async def save_handed_over(
    tx: Tx, handed: Sequence[Step], *, now: datetime, lease: timedelta
) -> set[tuple[str, str]]:
    """Note that these are about to go out; those that are still ours and may. The rest must not.

    A list's message whose person has left the list since the claim is none of them: this is the
    last look before DATA.
    """
    found = await rows(
        tx,
        "UPDATE message m SET state = 'handed_over', handed_over_at = :now, lease_until = :until,"
        " channel = u.channel, provider = u.provider,"
        " address_hash = coalesce(u.address_hash, m.address_hash)"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:identities AS text[]),"
        " CAST(:fences AS bigint[]), CAST(:channels AS text[]), CAST(:providers AS text[]),"
        " CAST(:addresses AS bytea[]))"
        " AS u(workspace, identity, fence, channel, provider, address_hash)"
        " WHERE m.workspace = u.workspace AND m.identity = u.identity AND m.fence = u.fence"
        " AND m.state IN ('claimed', 'handed_over') AND m.lease_until > :now"
        " AND (m.purpose IN ('renewal', 'security') OR NOT EXISTS (SELECT FROM suppression s"
        " WHERE s.workspace = u.workspace AND s.address_hash = u.address_hash"
        " AND s.scope IN ('all', m.topic) AND (s.until IS NULL OR s.until > :now)))"
        " RETURNING m.workspace, m.identity",
        {
            **_keys(handed),
            **_roads(handed),
            "addresses": [step.address_hash for step in handed],
            "now": now,
            "until": now + lease,
        },
    )
    return {(row.workspace, row.identity) for row in found}


async def save_steps(tx: Tx, steps: Sequence[Step], *, now: datetime) -> set[tuple[str, str]]:
    """Write what became of messages; those that were still ours. A stale fence changes nothing."""
    if not steps:
        return set()
    found = await rows(
        tx,
        "UPDATE message m SET state = u.state, reason = u.reason, winner = u.winner,"
        " channel = coalesce(u.channel, m.channel), provider = coalesce(u.provider, m.provider),"
        " try_at = coalesce(u.try_at, m.try_at), lease_until = NULL,"
        " ended_at = CASE WHEN u.state = 'planned' THEN NULL ELSE CAST(:now AS timestamptz) END"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:identities AS text[]),"
        " CAST(:fences AS bigint[]), CAST(:states AS text[]), CAST(:reasons AS text[]),"
        " CAST(:winners AS text[]), CAST(:channels AS text[]), CAST(:providers AS text[]),"
        " CAST(:try_at AS timestamptz[])) AS u(workspace, identity, fence, state, reason, winner,"
        " channel, provider, try_at)"
        " WHERE m.workspace = u.workspace AND m.identity = u.identity AND m.fence = u.fence"
        " AND m.state IN ('claimed', 'handed_over') RETURNING m.workspace, m.identity",
        {
            **_keys(steps),
            **_roads(steps),
            "states": [step.next.state.value for step in steps],
            "reasons": [step.next.reason for step in steps],
            "winners": [step.winner for step in steps],
            "try_at": [step.next.try_at for step in steps],
            "now": now,
        },
    )
    return {(row.workspace, row.identity) for row in found}


async def put_back(tx: Tx, steps: Sequence[Step]) -> None:
    """Plan these again for their `try_at`, as if they had not been claimed, and say why."""
    if steps:
        await tx.execute(
            text(
                "UPDATE message m SET state = 'planned', attempt = m.attempt - 1,"
                " lease_until = NULL, try_at = u.try_at, reason = u.reason, winner = u.winner"
                " FROM unnest(CAST(:workspaces AS text[]), CAST(:identities AS text[]),"
                " CAST(:fences AS bigint[]), CAST(:try_at AS timestamptz[]),"
                " CAST(:reasons AS text[]), CAST(:winners AS text[]))"
                " AS u(workspace, identity, fence, try_at, reason, winner)"
                " WHERE m.workspace = u.workspace AND m.identity = u.identity"
                " AND m.fence = u.fence AND m.state = 'claimed'"
            ),
            {
                **_keys(steps),
                "try_at": [step.next.try_at for step in steps],
                "reasons": [step.next.reason for step in steps],
                "winners": [step.winner for step in steps],
            },
        )


async def get_by_token(tx: Tx, token: str) -> Message | None:
    """The message that a public address names."""
    found = await rows(
        tx, f"SELECT {COLUMNS} FROM message m WHERE token = :token", {"token": token}
    )
    return _message(found[0]) if found else None


async def list_messages(tx: Tx, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Message]:
    """The messages of these workspaces and identities."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM message m JOIN unnest(CAST(:workspaces AS text[]),"
        " CAST(:identities AS text[])) AS u(workspace, identity)"
        " ON m.workspace = u.workspace AND m.identity = u.identity",
        {"workspaces": [key[0] for key in keys], "identities": [key[1] for key in keys]},
    )
    return {message.key: message for message in map(_message, found)}


async def list_superseded(tx: Tx, messages: Sequence[Message]) -> dict[tuple[str, str], str]:
    """Which of these have a later one of the same program and person that is due as well; its
    identity.
    """
    if not messages:
        return {}
    found = await rows(
        tx,
        "SELECT u.workspace, u.identity, newer.identity AS winner"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:identities AS text[]),"
        " CAST(:programs AS text[]), CAST(:users AS text[]), CAST(:due_at AS timestamptz[]))"
        " AS u(workspace, identity, program, user_id, due_at)"
        " JOIN LATERAL (SELECT m.identity FROM message m WHERE m.workspace = u.workspace"
        " AND m.user_id = u.user_id AND m.program = u.program AND m.due_at > u.due_at"
        " AND m.due_at <= now() ORDER BY m.due_at DESC LIMIT 1) AS newer ON true",
        {
            "workspaces": [message.workspace for message in messages],
            "identities": [message.identity for message in messages],
            "programs": [message.program for message in messages],
            "users": [message.user for message in messages],
            "due_at": [message.due_at for message in messages],
        },
    )
    return {(row.workspace, row.identity): row.winner for row in found}


async def list_claims(
    tx: Tx, people: Sequence[tuple[str, str]], *, since: datetime, until: datetime
) -> dict[tuple[str, str], Claims]:
    """What else these people get or got in that span of time, both ends inclusive."""
    found = await rows(
        tx,
        "SELECT m.workspace, m.user_id, m.identity, m.purpose, m.due_at, m.handed_over_at,"
        " m.deadline, m.grace_seconds FROM unnest(CAST(:workspaces AS text[]),"
        " CAST(:users AS text[])) AS u(workspace, user_id) JOIN message m"
        " ON m.workspace = u.workspace AND m.user_id = u.user_id"
        " WHERE m.state IN ('handed_over', 'accepted', 'uncertain')"
        " AND m.handed_over_at BETWEEN :since AND :until"
        " OR m.state IN ('planned', 'claimed') AND m.due_at BETWEEN :since AND :until"
        " ORDER BY m.workspace, m.user_id, m.identity",
        {
            "workspaces": [workspace for workspace, _ in people],
            "users": [user for _, user in people],
            "since": since,
            "until": until,
        },
    )
    claims: dict[tuple[str, str], Claims] = {}
    for row in found:
        of_person = claims.setdefault((row.workspace, row.user_id), Claims([], []))
        kept = of_person.sent if row.handed_over_at is not None else of_person.planned
        grace = timedelta(seconds=row.grace_seconds)
        kept.append(
            Claim(
                identity=row.identity,
                at=row.handed_over_at or row.due_at,
                purpose=Purpose(row.purpose),
                good_until=last_use(due_at=row.due_at, grace=grace, deadline=row.deadline),
            )
        )
    return claims


async def take_allowance(
    tx: Tx, name: str, *, wanted: int, per_second: float, burst: float, now: datetime
) -> int:
    """How many of `wanted` may go out now, taken from the bucket that all processes share.

    The row stays locked until the commit. A clock that steps back adds nothing.
    """
    found = await rows(
        tx,
        "INSERT INTO send_allowance AS a (name, tokens, at) VALUES (:name, :burst, :now)"
        " ON CONFLICT (name) DO UPDATE SET tokens = least(:burst, a.tokens + :rate *"
        " greatest(0, extract(epoch FROM excluded.at - a.at))), at = greatest(a.at, excluded.at)"
        " RETURNING tokens",
        {"name": name, "burst": burst, "rate": per_second, "now": now},
    )
    taken = min(wanted, int(found[0].tokens))
    if taken:
        await tx.execute(
            text("UPDATE send_allowance SET tokens = tokens - :taken WHERE name = :name"),
            {"name": name, "taken": taken},
        )
    return taken


async def give_back_allowance(tx: Tx, name: str, count: int) -> None:
    """Put back what was taken and not needed; to be asked in the transaction that took it."""
    if count:
        await tx.execute(
            text("UPDATE send_allowance SET tokens = tokens + :count WHERE name = :name"),
            {"name": name, "count": count},
        )


def _keys(steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "workspaces": [step.message.workspace for step in steps],
        "identities": [step.message.identity for step in steps],
        "fences": [step.message.fence for step in steps],
    }


def _roads(steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "channels": [step.channel for step in steps],
        "providers": [step.provider for step in steps],
    }


def _message(row: Any) -> Message:
    return Message(
        workspace=row.workspace,
        identity=row.identity,
        token=row.token,
        user=row.user_id,
        account=row.account,
        program=row.program,
        step=row.step,
        template=row.template,
        variant=row.variant,
        channels=tuple(row.channels),
        channel=row.channel,
        pillar=row.pillar,
        purpose=Purpose(row.purpose),
        topic=row.topic,
        due_at=row.due_at,
        deadline=row.deadline,
        grace=timedelta(seconds=row.grace_seconds),
        facts=row.facts if isinstance(row.facts, dict) else msgspec.json.decode(row.facts),
        attempt=row.attempt,
        fence=row.fence,
        zone=row.zone,
        provider=row.provider,
    )
