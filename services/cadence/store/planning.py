"""Who is to be planned, and when; and the messages that planning makes, moves and takes back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import text

from services.cadence.model.planning import MessageRow, Moved
from services.cadence.store.people import encoded, person_ids
from shared.db import Tx, rows
from shared.events.told import PersonId


async def ask_for_plans(tx: Tx, persons: Collection[PersonId]) -> None:
    """Let these people be planned anew, at once: something else is known of them."""
    await tx.execute(
        text(
            "INSERT INTO planning (workspace, user_id, plan_at)"
            " SELECT u.workspace, u.user_id, now() FROM unnest(CAST(:workspaces AS text[]),"
            " CAST(:users AS text[])) AS u(workspace, user_id)"
            " ON CONFLICT (workspace, user_id) DO UPDATE SET plan_at = excluded.plan_at"
        ),
        person_ids(sorted(persons)),
    )


async def ask_where_announced(tx: Tx, used: Collection[tuple[PersonId, str]]) -> None:
    """Let people be planned anew who are told of a feature that they have used by now."""
    if not used:
        return
    ordered = sorted(used)
    await tx.execute(
        text(
            "UPDATE planning p SET plan_at = now() FROM unnest(CAST(:workspaces AS text[]),"
            " CAST(:users AS text[]), CAST(:features AS text[])) AS u(workspace, user_id, feature)"
            " JOIN journey j ON j.workspace = u.workspace AND j.user_id = u.user_id"
            " AND j.state = 'going' AND j.facts->>'feature' = u.feature"
            " WHERE p.workspace = u.workspace AND p.user_id = u.user_id"
        ),
        {
            **person_ids(person for person, _ in ordered),
            "features": [feature for _, feature in ordered],
        },
    )


async def ask_for_plans_of_workspaces(tx: Tx, workspaces: Collection[str]) -> None:
    """Let everybody of these workspaces be planned anew, at once."""
    await tx.execute(
        text("UPDATE planning SET plan_at = now() WHERE workspace = ANY(CAST(:names AS text[]))"),
        {"names": sorted(workspaces)},
    )


async def ask_where_tzdata_changed(tx: Tx, *, version: str, now: datetime, limit: int) -> None:
    """Let people be planned anew whose plan was made by another IANA database (2.16)."""
    await tx.execute(
        text(
            "UPDATE planning p SET plan_at = :now FROM (SELECT workspace, user_id FROM planning"
            " WHERE tzdata <> :version AND plan_at > :now LIMIT :limit FOR UPDATE SKIP LOCKED)"
            " AS old WHERE p.workspace = old.workspace AND p.user_id = old.user_id"
        ),
        {"version": version, "now": now, "limit": limit},
    )


async def claim_due(tx: Tx, *, now: datetime, limit: int) -> list[PersonId]:
    """People whose time to be planned has come, longest first; others leave them alone."""
    found = await rows(
        tx,
        "SELECT workspace, user_id FROM planning WHERE plan_at <= :now"
        " ORDER BY plan_at, workspace, user_id LIMIT :limit FOR UPDATE SKIP LOCKED",
        {"now": now, "limit": limit},
    )
    return [PersonId(row.workspace, row.user_id) for row in found]


async def save_planned(tx: Tx, plan_at: Mapping[PersonId, datetime], *, version: str) -> None:
    """Note by which database these people are planned, and when they are again."""
    await tx.execute(
        text(
            "UPDATE planning p SET plan_at = u.plan_at, tzdata = :version"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
            " CAST(:at AS timestamptz[])) AS u(workspace, user_id, plan_at)"
            " WHERE p.workspace = u.workspace AND p.user_id = u.user_id"
        ),
        {**person_ids(plan_at), "at": list(plan_at.values()), "version": version},
    )


async def add_messages(tx: Tx, messages: Sequence[MessageRow]) -> set[tuple[str, str]]:
    """Plan messages whose identity is new; those that were. A known identity is left alone."""
    if not messages:
        return set()
    ordered = sorted(messages, key=lambda message: message.key)
    found = await rows(
        tx,
        "INSERT INTO message (workspace, identity, user_id, account, program, program_version,"
        " step, template, variant, channels, pillar, purpose, topic, occurrence_at, due_at, try_at,"
        " deadline, grace_seconds, zone, zone_source, tzdata, rule_version, facts)"
        " SELECT u.workspace, u.identity, u.user_id, u.account, u.program, u.program_version,"
        " u.step, u.template, u.variant, string_to_array(u.channels, ' '), u.pillar, u.purpose,"
        " u.topic, u.occurrence_at, u.due_at, u.due_at, u.deadline, u.grace_seconds, u.zone,"
        " u.zone_source, u.tzdata, u.rule_version, u.facts"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:identities AS text[]),"
        " CAST(:users AS text[]), CAST(:accounts AS text[]), CAST(:programs AS text[]),"
        " CAST(:versions AS integer[]), CAST(:steps AS text[]), CAST(:templates AS text[]),"
        " CAST(:variants AS text[]), CAST(:channels AS text[]), CAST(:pillars AS text[]),"
        " CAST(:purposes AS text[]), CAST(:topics AS text[]), CAST(:occurrences AS timestamptz[]),"
        " CAST(:due AS timestamptz[]), CAST(:deadlines AS timestamptz[]),"
        " CAST(:graces AS integer[]), CAST(:zones AS text[]), CAST(:sources AS text[]),"
        " CAST(:tzdata AS text[]), CAST(:rules AS integer[]),"
        " CAST(CAST(:facts AS text[]) AS jsonb[]))"
        " AS u(workspace, identity, user_id, account, program, program_version, step, template,"
        " variant, channels, pillar, purpose, topic, occurrence_at, due_at, deadline,"
        " grace_seconds, zone, zone_source, tzdata, rule_version, facts)"
        " ON CONFLICT (workspace, identity) DO NOTHING RETURNING workspace, identity",
        _columns(ordered),
    )
    return {(row.workspace, row.identity) for row in found}


async def move_messages(tx: Tx, moved: Sequence[Moved]) -> set[tuple[str, str]]:
    """Say of messages not yet begun what they are now, and when they are due; those that were."""
    if not moved:
        return set()
    ordered = sorted((each.message for each in moved), key=lambda message: message.key)
    found = await rows(
        tx,
        "UPDATE message m SET account = u.account, program_version = u.program_version,"
        " step = u.step, template = u.template, variant = u.variant,"
        " channels = string_to_array(u.channels, ' '), occurrence_at = u.occurrence_at,"
        " due_at = u.due_at, try_at = u.due_at, deadline = u.deadline,"
        " grace_seconds = u.grace_seconds, zone = u.zone, zone_source = u.zone_source,"
        " tzdata = u.tzdata, rule_version = u.rule_version, facts = u.facts"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:identities AS text[]),"
        " CAST(:accounts AS text[]), CAST(:versions AS integer[]), CAST(:steps AS text[]),"
        " CAST(:templates AS text[]), CAST(:variants AS text[]), CAST(:channels AS text[]),"
        " CAST(:occurrences AS timestamptz[]), CAST(:due AS timestamptz[]),"
        " CAST(:deadlines AS timestamptz[]), CAST(:graces AS integer[]), CAST(:zones AS text[]),"
        " CAST(:sources AS text[]), CAST(:tzdata AS text[]), CAST(:rules AS integer[]),"
        " CAST(CAST(:facts AS text[]) AS jsonb[]))"
        " AS u(workspace, identity, account, program_version, step, template, variant, channels,"
        " occurrence_at, due_at, deadline, grace_seconds, zone, zone_source, tzdata, rule_version,"
        " facts) WHERE m.workspace = u.workspace AND m.identity = u.identity"
        " AND m.state = 'planned' AND m.attempt = 0 RETURNING m.workspace, m.identity",
        _columns(ordered),
    )
    return {(row.workspace, row.identity) for row in found}


async def take_back(tx: Tx, messages: Collection[tuple[str, str]]) -> None:
    """Delete messages that are not to be any more, unless they are begun by now."""
    ordered = sorted(messages)
    if ordered:
        await tx.execute(
            text(
                "DELETE FROM message m USING unnest(CAST(:workspaces AS text[]),"
                " CAST(:identities AS text[])) AS u(workspace, identity)"
                " WHERE m.workspace = u.workspace AND m.identity = u.identity"
                " AND m.state = 'planned' AND m.attempt = 0"
            ),
            {
                "workspaces": [workspace for workspace, _ in ordered],
                "identities": [identity for _, identity in ordered],
            },
        )


def _columns(messages: Sequence[MessageRow]) -> dict[str, object]:
    return {
        "workspaces": [message.person.workspace for message in messages],
        "identities": [message.identity for message in messages],
        "users": [message.person.user for message in messages],
        "accounts": [message.account for message in messages],
        "programs": [message.program for message in messages],
        "versions": [message.program_version for message in messages],
        "steps": [message.step for message in messages],
        "templates": [message.template for message in messages],
        "variants": [message.variant for message in messages],
        "channels": [" ".join(message.channels) for message in messages],
        "pillars": [message.pillar for message in messages],
        "purposes": [message.purpose.value for message in messages],
        "topics": [message.topic for message in messages],
        "occurrences": [message.nominal_at for message in messages],
        "due": [message.due_at for message in messages],
        "deadlines": [message.deadline for message in messages],
        "graces": [int(message.grace.total_seconds()) for message in messages],
        "zones": [message.zone for message in messages],
        "sources": [message.zone_source for message in messages],
        "tzdata": [message.tzdata for message in messages],
        "rules": [message.rule_version for message in messages],
        "facts": [encoded(dict(message.facts)) for message in messages],
    }
