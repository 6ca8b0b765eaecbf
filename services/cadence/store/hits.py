"""What was fetched of messages: every hit as it came, and a moment later who made it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from services.cadence.model.hits import Hit, HitKind, Verdict
from shared.db import Tx, rows

MOST_OF_A_MESSAGE = 2_000  # hits that are kept, and looked at together
AROUND = timedelta(minutes=15)


@dataclass(frozen=True)
class StoredHit:
    """A hit with its place in the table."""

    number: int
    hit: Hit


@dataclass(frozen=True)
class Hits:
    """The hits of one message: those to decide, and all around them in time."""

    undecided: Sequence[StoredHit]
    among: Sequence[Hit]
    accepted_at: datetime | None


async def append_hit(tx: Tx, workspace: str, identity: str, hit: Hit) -> None:
    """Keep a hit as it came; a flood on one message is kept up to a bound."""
    await tx.execute(
        text(
            "INSERT INTO hit (workspace, identity, at, kind, link, method, user_agent, caller)"
            " SELECT :workspace, :identity, CAST(:at AS timestamptz), :kind, CAST(:link AS text),"
            " :method, :user_agent, CAST(:caller AS bytea) WHERE :most > (SELECT count(*) FROM"
            " (SELECT FROM hit WHERE workspace = :workspace AND identity = :identity"
            " LIMIT :most) AS known)"
        ),
        {
            "workspace": workspace,
            "identity": identity,
            "at": hit.at,
            "kind": hit.kind.value,
            "link": hit.link,
            "method": hit.method,
            "user_agent": hit.user_agent,
            "caller": hit.caller,
            "most": MOST_OF_A_MESSAGE,
        },
    )


async def load_undecided(tx: Tx, *, before: datetime, limit: int) -> Mapping[tuple[str, str], Hits]:
    """Hits of before that instant whose class is not decided, by message, with those around."""
    undecided = await rows(
        tx,
        "SELECT id, workspace, identity, at FROM hit WHERE class IS NULL AND at < :before"
        " ORDER BY at, id LIMIT :limit FOR UPDATE SKIP LOCKED",
        {"before": before, "limit": limit},
    )
    numbers = {row.id for row in undecided}
    first: dict[tuple[str, str], datetime] = {}
    for row in undecided:  # the oldest first
        first.setdefault((row.workspace, row.identity), row.at)
    keys = sorted(first)
    found = await rows(
        tx,
        "SELECT h.id, h.workspace, h.identity, h.at, h.kind, h.link, h.method, h.user_agent,"
        " h.caller, m.ended_at, m.state FROM unnest(CAST(:workspaces AS text[]),"
        " CAST(:identities AS text[]), CAST(:since AS timestamptz[]))"
        " AS u(workspace, identity, since)"
        " JOIN message m ON m.workspace = u.workspace AND m.identity = u.identity"
        " JOIN LATERAL (SELECT * FROM hit WHERE hit.workspace = u.workspace"
        " AND hit.identity = u.identity AND hit.at >= u.since ORDER BY hit.at, hit.id LIMIT :most)"
        " AS h ON true ORDER BY h.workspace, h.identity, h.at, h.id",
        {
            "workspaces": [key[0] for key in keys],
            "identities": [key[1] for key in keys],
            "since": [first[key] - AROUND for key in keys],
            "most": MOST_OF_A_MESSAGE,
        },
    )
    return _by_message(found, numbers)


async def save_verdicts(tx: Tx, verdicts: Mapping[int, Verdict]) -> None:
    """Write who made these hits, by their number."""
    if verdicts:
        await tx.execute(
            text(
                "UPDATE hit SET class = u.class, rule = u.rule FROM unnest("
                "CAST(:ids AS bigint[]), CAST(:classes AS text[]), CAST(:rules AS text[]))"
                " AS u(id, class, rule) WHERE hit.id = u.id AND hit.class IS NULL"
            ),
            {
                "ids": list(verdicts),
                "classes": [verdict.class_.value for verdict in verdicts.values()],
                "rules": [verdict.rule for verdict in verdicts.values()],
            },
        )


def _by_message(found: Sequence[Any], numbers: set[int]) -> dict[tuple[str, str], Hits]:
    undecided: defaultdict[tuple[str, str], list[StoredHit]] = defaultdict(list)
    among: defaultdict[tuple[str, str], list[Hit]] = defaultdict(list)
    accepted: dict[tuple[str, str], datetime | None] = {}
    for row in found:
        key, hit = (row.workspace, row.identity), _hit(row)
        among[key].append(hit)
        accepted[key] = row.ended_at if row.state == "accepted" else None
        if row.id in numbers:
            undecided[key].append(StoredHit(row.id, hit))
    return {key: Hits(undecided[key], among[key], accepted[key]) for key in among}


def _hit(row: Any) -> Hit:
    return Hit(
        at=row.at,
        kind=HitKind(row.kind),
        method=row.method,
        user_agent=row.user_agent,
        caller=bytes(row.caller),
        link=row.link,
    )
