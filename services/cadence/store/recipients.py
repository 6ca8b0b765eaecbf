"""Who a message would reach, as known at this moment."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.cadence.model.eligibility import Recipient, Target
from shared.db import Tx, rows

Person = tuple[str, str]
"""Workspace and user."""


async def list_recipients(tx: Tx, people: Sequence[Person]) -> Mapping[Person, Recipient]:
    """What is known of these people; nobody where a person is unknown."""
    named = sorted(set(people))
    arguments = {
        "workspaces": [workspace for workspace, _ in named],
        "users": [user for _, user in named],
    }
    consents = await _consents(tx, arguments)
    targets = await _targets(tx, sorted({workspace for workspace, _ in named}))
    found = await rows(
        tx,
        "SELECT p.workspace, p.user_id, p.email, p.name, p.locale, p.churned_at, p.removed_at,"
        " p.channels, EXISTS (SELECT FROM pause x WHERE x.workspace = p.workspace"
        " AND x.user_id IN ('', p.user_id) AND x.starts_at <= now() AND x.ends_at > now())"
        " AS paused, w.locale AS of_workspace"
        " FROM person p LEFT JOIN workspace w ON w.id = p.workspace"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[])) AS u(workspace, user_id)"
        " ON p.workspace = u.workspace AND p.user_id = u.user_id",
        arguments,
    )
    return {
        (row.workspace, row.user_id): Recipient(
            user=row.user_id,
            email=row.email,
            name=row.name,
            locale=row.locale or row.of_workspace or "en",
            paused=row.paused,
            churned_at=row.churned_at,
            removed_at=row.removed_at,
            consents=consents.get((row.workspace, row.user_id), {}),
            preferred=tuple(row.channels or ()),
            targets=targets.get(row.workspace, {}),
        )
        for row in found
    }


async def _consents(
    tx: Tx, arguments: Mapping[str, Sequence[str]]
) -> dict[Person, dict[str, bool]]:
    found = await rows(
        tx,
        "SELECT c.workspace, c.user_id, c.topic, c.granted FROM consent c"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        " AS u(workspace, user_id) ON c.workspace = u.workspace AND c.user_id = u.user_id",
        arguments,
    )
    words: defaultdict[Person, dict[str, bool]] = defaultdict(dict)
    for row in found:
        words[row.workspace, row.user_id][row.topic] = row.granted
    return words


async def _targets(tx: Tx, workspaces: Sequence[str]) -> dict[str, dict[str, Target]]:
    found = await rows(
        tx,
        "SELECT workspace, kind, url, secrets FROM channel_target"
        " WHERE workspace = ANY(CAST(:workspaces AS text[]))",
        {"workspaces": workspaces},
    )
    targets: defaultdict[str, dict[str, Target]] = defaultdict(dict)
    for row in found:
        targets[row.workspace][row.kind] = Target(row.url, tuple(row.secrets))
    return targets
