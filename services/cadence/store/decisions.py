"""Why a message goes or does not: one row for each time that this became something else."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from services.cadence.model import RULE_VERSION
from services.cadence.model.planning import Decided
from services.cadence.store.people import encoded, person_ids
from shared.db import Tx


async def append_decisions(
    tx: Tx, decided: Sequence[Decided], *, now: datetime, tzdata: str
) -> None:
    """Keep decisions. One that says what the last of its message said is none."""
    if not decided:
        return
    await tx.execute(
        text(
            "INSERT INTO decision (workspace, identity, user_id, at, due_at, outcome, reason,"
            " winner, rules, rule_version, tzdata)"
            " SELECT u.workspace, u.identity, u.user_id, :now, u.due_at, u.outcome, u.reason,"
            " u.winner, u.rules, :rule_version, :tzdata"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
            " CAST(:identities AS text[]), CAST(:due AS timestamptz[]), CAST(:outcomes AS text[]),"
            " CAST(:reasons AS text[]), CAST(:winners AS text[]),"
            " CAST(CAST(:rules AS text[]) AS jsonb[]))"
            " AS u(workspace, user_id, identity, due_at, outcome, reason, winner, rules)"
            " LEFT JOIN LATERAL (SELECT d.due_at, d.outcome, d.reason, d.winner FROM decision d"
            " WHERE d.workspace = u.workspace AND d.identity = u.identity"
            " ORDER BY d.number DESC LIMIT 1) AS last ON true"
            " WHERE last.outcome IS NULL OR (last.due_at, last.outcome, last.reason, last.winner)"
            " IS DISTINCT FROM (u.due_at, u.outcome, u.reason, u.winner)"
        ),
        {
            **person_ids(each.person for each in decided),
            "identities": [each.identity for each in decided],
            "due": [each.due_at for each in decided],
            "outcomes": [each.outcome for each in decided],
            "reasons": [each.reason for each in decided],
            "winners": [each.winner for each in decided],
            "rules": [encoded(list(each.rules)) for each in decided],
            "rule_version": RULE_VERSION,
            "tzdata": tzdata,
            "now": now,
        },
    )
