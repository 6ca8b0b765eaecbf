"""All that is known of people, put together for planning and for who asks about their schedule."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from services.cadence.model.caps import Caps, Purpose
from services.cadence.model.delivery import State
from services.cadence.model.occasions import Occasion
from services.cadence.model.occurrences import Facts, Policy
from services.cadence.model.occurrences import Standing as Presence
from services.cadence.model.people import Account, Person, zone_events
from services.cadence.model.planning import Known, MessageRow, Numbers, Standing
from services.cadence.model.programs import Value
from services.cadence.model.quiet import QuietHours
from services.cadence.model.spans import Span
from services.cadence.model.zones import ZoneChain
from services.cadence.store.accounts import list_accounts
from services.cadence.store.journeys import list_anchors, list_journeys
from services.cadence.store.occasions import occasion_in
from services.cadence.store.people import person_ids, person_in
from shared.db import Tx, rows
from shared.events.told import AccountId, PersonId

MOST_MESSAGES = 400  # of a person, the latest: those of journeys that still go on are among them
MOST_FEATURES = 1_000  # of a person, the most used


class _Row(NamedTuple):
    """A person, as the table has them beside what was told."""

    told: Person
    account: str | None
    role: str | None
    locale: str | None
    nps_class: str | None
    churned_at: datetime | None


EMPTY: Mapping[str, Any] = {}
NOBODY = _Row(Person(profile={}), None, None, None, None, None)


async def list_known(
    tx: Tx,
    persons: Sequence[PersonId],
    *,
    now: datetime,
    words: Mapping[str, Any] = EMPTY,
) -> dict[PersonId, Known]:
    """What is known of each of these people; of one that no event described, next to nothing.

    `words`: what templates may say where the workspace says nothing else.
    """
    ids = person_ids(persons)
    people = await _people(tx, ids)
    homes = {person: people.get(person, NOBODY).account for person in persons}
    accounts = await list_accounts(
        tx, {AccountId(each.workspace, home) for each, home in homes.items() if home is not None}
    )
    zones = await _zones(tx, {person.workspace for person in persons})
    numbers = await list_numbers(tx, {person.workspace for person in persons}, words=words)
    pauses = await list_pauses(tx, ids, now)
    occasions = await _occasions(tx, ids)
    journeys = await list_journeys(tx, persons)
    messages = await _messages(tx, ids)
    anchors = await list_anchors(tx, persons)
    used = await _counts(tx, ids)
    known: dict[PersonId, Known] = {}
    for person in persons:
        row, home = people.get(person, NOBODY), homes[person]
        account = None if home is None else accounts.get(AccountId(person.workspace, home))
        chain = ZoneChain(
            account=None if account is None else account.value("time_zone"),
            workspace=zones.get(person.workspace),
        )
        facts = _facts(row, account, chain, pauses.get(person, ()))
        known[person] = Known(
            person=person,
            account=home,
            facts=facts,
            zones=chain,
            values={**_values(row, account, now, facts), **used.get(person, {})},
            occasions=occasions.get(person, ()),
            journeys=journeys.get(person, ()),
            messages=messages.get(person, ()),
            preferred=row.told.value("channels") or (),
            anchor=anchors.get(person),
            numbers=numbers[person.workspace],
        )
    return known


async def list_numbers(
    tx: Tx, workspaces: Collection[str], *, words: Mapping[str, Any] = EMPTY
) -> dict[str, Numbers]:
    """The numbers of each of the workspaces, its own or the defaults."""
    own = await list_own_numbers(tx, workspaces)
    return {
        workspace: replace(each, words={**words, **each.words})
        for workspace in workspaces
        for each in (own.get(workspace, Numbers()),)
    }


async def list_own_numbers(tx: Tx, workspaces: Collection[str]) -> dict[str, Numbers]:
    """The numbers of those workspaces that have their own."""
    found = await rows(
        tx,
        "SELECT workspace, grace_seconds, spacing_seconds, quiet_starts, quiet_ends, most_a_day,"
        " most_a_week, apart_seconds, words::text AS words FROM messaging_settings"
        " WHERE workspace = ANY(CAST(:workspaces AS text[]))",
        {"workspaces": sorted(workspaces)},
    )
    return {
        row.workspace: Numbers(
            policy=Policy(
                grace=timedelta(seconds=row.grace_seconds),
                spacing=timedelta(seconds=row.spacing_seconds),
                quiet=None
                if row.quiet_starts is None or row.quiet_ends is None
                else QuietHours(row.quiet_starts, row.quiet_ends),
            ),
            caps=Caps(
                per_day=row.most_a_day,
                per_week=row.most_a_week,
                spacing=timedelta(seconds=row.apart_seconds),
            ),
            words=msgspec.json.decode(row.words),
        )
        for row in found
    }


async def _people(tx: Tx, ids: Mapping[str, Any]) -> dict[PersonId, _Row]:
    found = await rows(
        tx,
        "SELECT p.workspace, p.user_id, p.told::text AS told, p.zones::text AS zones,"
        " p.identified_at, p.known_at, p.account, p.role, p.locale, p.nps_class, p.churned_at"
        " FROM person p JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        " AS u(workspace, user_id) ON p.workspace = u.workspace AND p.user_id = u.user_id",
        ids,
    )
    return {
        PersonId(row.workspace, row.user_id): _Row(
            person_in(row), row.account, row.role, row.locale, row.nps_class, row.churned_at
        )
        for row in found
    }


async def _zones(tx: Tx, workspaces: Collection[str]) -> dict[str, str]:
    found = await rows(
        tx,
        "SELECT id, time_zone FROM workspace WHERE id = ANY(CAST(:workspaces AS text[]))",
        {"workspaces": sorted(workspaces)},
    )
    return {row.id: row.time_zone for row in found}


async def list_pauses(tx: Tx, ids: Mapping[str, Any], now: datetime) -> dict[PersonId, list[Span]]:
    """When these people are not written to, their own pauses and those of their workspaces."""
    found = await rows(
        tx,
        "SELECT u.workspace, u.user_id, p.starts_at, p.ends_at FROM pause p"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        " AS u(workspace, user_id) ON p.workspace = u.workspace AND p.user_id IN ('', u.user_id)"
        " WHERE p.ends_at > :since",
        {**ids, "since": now - timedelta(days=30)},
    )
    spans: defaultdict[PersonId, list[Span]] = defaultdict(list)
    for row in found:
        spans[PersonId(row.workspace, row.user_id)].append(Span(row.starts_at, row.ends_at))
    return spans


async def _occasions(tx: Tx, ids: Mapping[str, Any]) -> dict[PersonId, list[Occasion]]:
    """What happened to people, or to an account that they are a member of."""
    found = await rows(
        tx,
        "SELECT u.workspace, u.user_id, o.scope, o.event, o.about, o.at, o.names_on,"
        " o.facts::text AS facts FROM (SELECT u.workspace, u.user_id, 'u:' || u.user_id AS scope"
        "  FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        "  AS u(workspace, user_id)"
        " UNION SELECT m.workspace, m.user_id, 'a:' || m.account"
        "  FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        "  AS u(workspace, user_id)"
        "  JOIN membership m ON m.workspace = u.workspace AND m.user_id = u.user_id"
        "  WHERE m.removed_at IS NULL OR m.at > m.removed_at) AS u"
        " JOIN occasion o ON o.workspace = u.workspace AND o.scope = u.scope"
        " ORDER BY o.at, o.event, o.scope, o.about",
        ids,
    )
    listed: defaultdict[PersonId, list[Occasion]] = defaultdict(list)
    for row in found:
        listed[PersonId(row.workspace, row.user_id)].append(occasion_in(row))
    return listed


async def _messages(tx: Tx, ids: Mapping[str, Any]) -> dict[PersonId, list[Standing]]:
    found = await rows(
        tx,
        "SELECT m.*, m.facts::text AS said FROM unnest(CAST(:workspaces AS text[]),"
        " CAST(:users AS text[])) AS u(workspace, user_id)"
        " JOIN LATERAL (SELECT * FROM message WHERE message.workspace = u.workspace"
        " AND message.user_id = u.user_id ORDER BY due_at DESC LIMIT :most) AS m ON true",
        {**ids, "most": MOST_MESSAGES},
    )
    listed: defaultdict[PersonId, list[Standing]] = defaultdict(list)
    for row in found:
        person = PersonId(row.workspace, row.user_id)
        listed[person].append(
            Standing(row=_message(person, row), state=State(row.state), attempt=row.attempt)
        )
    return listed


async def _counts(tx: Tx, ids: Mapping[str, Any]) -> dict[PersonId, dict[str, Value | None]]:
    """How often people used each feature, and clicked in each step, as conditions name it."""
    found = await rows(
        tx,
        "SELECT u.workspace, u.user_id, 'used:' || f.feature AS name, f.times"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        " AS u(workspace, user_id) JOIN LATERAL (SELECT feature, times FROM feature_use f"
        " WHERE f.workspace = u.workspace AND f.user_id = u.user_id"
        " ORDER BY times DESC, feature LIMIT :most) AS f ON true"
        " UNION ALL SELECT m.workspace, m.user_id, 'clicked:' || m.step, count(*)"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        " AS u(workspace, user_id)"
        " JOIN message m ON m.workspace = u.workspace AND m.user_id = u.user_id"
        " JOIN hit h ON h.workspace = m.workspace AND h.identity = m.identity"
        " AND h.kind = 'click' AND h.class = 'human' GROUP BY m.workspace, m.user_id, m.step",
        {**ids, "most": MOST_FEATURES},
    )
    counted: defaultdict[PersonId, dict[str, Value | None]] = defaultdict(dict)
    for row in found:
        counted[PersonId(row.workspace, row.user_id)][row.name] = row.times
    return counted


def _facts(
    row: _Row, account: Account | None, chain: ZoneChain, pauses: Sequence[Span]
) -> Facts | None:
    if row.told.signed_up_at is None:
        return None
    return Facts(
        signed_up_at=row.told.signed_up_at,
        zones=chain,
        zone_events=zone_events(row.told.zones),
        known_at=row.told.known_at,
        standing=_presence(row, account, pauses),
    )


def _presence(row: _Row, account: Account | None, pauses: Sequence[Span]) -> Presence:
    """When nothing is sent: pauses, and churn, until it is over."""
    if row.churned_at is not None:
        return Presence(pauses=pauses, churned_at=row.churned_at)
    if account is None or account.churned_at is None or account.reactivated_at is None:
        return Presence(pauses=pauses)
    return Presence(
        pauses=pauses, churned_at=account.churned_at, reactivated_at=account.reactivated_at
    )


def _values(
    row: _Row, account: Account | None, now: datetime, facts: Facts | None
) -> dict[str, Value | None]:
    """What conditions may ask for by its exact name. What nobody said is absent."""
    said: dict[str, Value | None] = {
        "role": row.role,
        "locale": row.locale,
        "nps_class": row.nps_class,
        "signed_up_days": None if facts is None else (now - facts.signed_up_at).days,
    }
    if account is None:
        return said
    for name in ("plan", "segment", "tier", "industry", "seats"):
        said[name] = account.value(name)
    said |= {f"tag:{tag}": True for tag in account.value("tags") or ()}
    said["stage"] = account.stage.value
    said["paying"] = account.paying
    said["onboarded"] = None if account.onboarded_at is None else True
    said["locale"] = row.locale or account.value("locale")
    return said


def _message(person: PersonId, row: Any) -> MessageRow:
    return MessageRow(
        person=person,
        identity=row.identity,
        account=row.account,
        program=row.program,
        program_version=row.program_version,
        step=row.step,
        template=row.template,
        variant=row.variant,
        channels=list(row.channels),
        pillar=row.pillar,
        purpose=Purpose(row.purpose),
        topic=row.topic,
        nominal_at=row.occurrence_at,
        due_at=row.due_at,
        deadline=row.deadline,
        grace=timedelta(seconds=row.grace_seconds),
        zone=row.zone,
        zone_source=row.zone_source,
        tzdata=row.tzdata,
        facts=msgspec.json.decode(row.said),
        rule_version=row.rule_version,
    )
