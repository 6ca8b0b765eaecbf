"""People and the accounts they are members of: what was told of them, and where they stand."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from services.cadence.model.people import CLASS, Person, ZoneSaid
from shared.db import Tx, rows
from shared.events.told import AccountId, PersonId, Told

_decode_profile = msgspec.json.Decoder(dict[str, Told]).decode
_decode_zones = msgspec.json.Decoder(tuple[ZoneSaid, ...]).decode


class MemberKey(NamedTuple):
    """A person in an account; one may be in several. An empty account: whatever they are in."""

    workspace: str
    user: str
    account: str


async def load_persons(tx: Tx, persons: Collection[PersonId]) -> dict[PersonId, Person]:
    """Each of `persons`, locked in id order; one never seen is made."""
    ids = person_ids(sorted(persons))
    await tx.execute(
        text(
            "INSERT INTO person (workspace, user_id)"
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
            " ON CONFLICT DO NOTHING"
        ),
        ids,
    )
    return await _listed(tx, ids, " ORDER BY p.workspace, p.user_id FOR UPDATE OF p")


async def list_persons(tx: Tx, persons: Collection[PersonId]) -> dict[PersonId, Person]:
    """Those of `persons` that are known."""
    return await _listed(tx, person_ids(sorted(persons)))


async def _listed(tx: Tx, ids: Mapping[str, Any], how: str = "") -> dict[PersonId, Person]:
    found = await rows(
        tx,
        "SELECT p.workspace, p.user_id, p.told::text AS told, p.zones::text AS zones,"
        " p.identified_at, p.known_at FROM person p"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        f" AS u(workspace, user_id) ON p.workspace = u.workspace AND p.user_id = u.user_id{how}",
        ids,
    )
    return {PersonId(row.workspace, row.user_id): person_in(row) for row in found}


async def save_persons(tx: Tx, persons: Mapping[PersonId, Person]) -> None:
    """Keep what is now known of the people."""
    listed = list(persons.values())
    await tx.execute(
        text(
            "UPDATE person p SET told = u.told, zones = u.zones, identified_at = u.identified_at,"
            " known_at = u.known_at, signed_up_at = u.signed_up_at, email = u.email, name = u.name,"
            " locale = u.locale, role = u.role, nps_class = u.nps_class,"
            " channels = ARRAY(SELECT jsonb_array_elements_text(u.channels))"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
            " CAST(CAST(:told AS text[]) AS jsonb[]), CAST(CAST(:zones AS text[]) AS jsonb[]),"
            " CAST(:identified AS timestamptz[]), CAST(:known AS timestamptz[]),"
            " CAST(:signed_up AS timestamptz[]), CAST(:emails AS text[]), CAST(:names AS text[]),"
            " CAST(:locales AS text[]), CAST(:roles AS text[]), CAST(:classes AS text[]),"
            " CAST(CAST(:channels AS text[]) AS jsonb[]))"
            " AS u(workspace, user_id, told, zones, identified_at, known_at, signed_up_at, email,"
            " name, locale, role, nps_class, channels)"
            " WHERE p.workspace = u.workspace AND p.user_id = u.user_id"
        ),
        {
            **person_ids(persons),
            "told": [encoded(dict(person.profile)) for person in listed],
            "zones": [encoded(person.zones) for person in listed],
            "identified": [person.identified_at for person in listed],
            "known": [person.known_at for person in listed],
            "signed_up": [person.signed_up_at for person in listed],
            "emails": [person.value("email") for person in listed],
            "names": [person.value("name") for person in listed],
            "locales": [person.value("locale") for person in listed],
            "roles": [person.value("role") for person in listed],
            "classes": [person.value(CLASS) for person in listed],
            "channels": [encoded(person.value("channels") or []) for person in listed],
        },
    )


async def add_members(tx: Tx, seen: Mapping[MemberKey, datetime]) -> None:
    """Note when members were last named; the latest stands."""
    await _upsert_members(tx, seen, "at")


async def remove_members(tx: Tx, removed: Mapping[MemberKey, datetime]) -> None:
    """Note when people stopped being a seat of an account; the latest stands."""
    await _upsert_members(tx, removed, "removed_at")


async def _upsert_members(tx: Tx, members: Mapping[MemberKey, datetime], column: str) -> None:
    if not members:
        return
    # Who is first heard of by leaving was a member before, since nobody knows when.
    values = "u.at, NULL" if column == "at" else "CAST('-infinity' AS timestamptz), u.at"
    ordered = sorted(members.items())
    await tx.execute(
        text(
            "INSERT INTO membership AS m (workspace, user_id, account, at, removed_at)"
            f" SELECT u.workspace, u.user_id, u.account, {values}"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
            " CAST(:accounts AS text[]), CAST(:at AS timestamptz[]))"
            " AS u(workspace, user_id, account, at)"
            " ON CONFLICT (workspace, user_id, account) DO UPDATE SET"
            f" {column} = excluded.{column}"
            f" WHERE m.{column} IS NULL OR excluded.{column} > m.{column}"
        ),
        {
            "workspaces": [key.workspace for key, _ in ordered],
            "users": [key.user for key, _ in ordered],
            "accounts": [key.account for key, _ in ordered],
            "at": [moment for _, moment in ordered],
        },
    )


async def list_members(tx: Tx, accounts: Collection[AccountId]) -> list[PersonId]:
    """Everybody who is a member of one of the accounts, in id order."""
    named = sorted(accounts)
    found = await rows(
        tx,
        "SELECT DISTINCT m.workspace, m.user_id FROM membership m"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[]))"
        " AS u(workspace, account) ON m.workspace = u.workspace AND m.account = u.account"
        " ORDER BY m.workspace, m.user_id",
        {
            "workspaces": [account.workspace for account in named],
            "accounts": [account.account for account in named],
        },
    )
    return [PersonId(row.workspace, row.user_id) for row in found]


async def settle(tx: Tx, persons: Collection[PersonId]) -> list[PersonId]:
    """Bring up to date which account people are of, and whether they left or their accounts did;
    those of whom something else holds now.

    The account that was named last is theirs. They are removed where they are a seat of none any
    more, and churned where every account that they are still a seat of is.
    """
    changed = await rows(
        tx,
        "UPDATE person p SET account = s.account, removed_at = s.removed_at,"
        " churned_at = s.churned_at FROM (SELECT m.workspace, m.user_id,"
        " (array_agg(m.account ORDER BY m.active DESC, m.at DESC, m.account)"
        "  FILTER (WHERE m.account <> ''))[1] AS account,"
        " CASE WHEN bool_or(m.active) THEN NULL ELSE max(m.gone_at) END AS removed_at,"
        " CASE WHEN bool_and(m.churned_at IS NOT NULL) FILTER (WHERE m.active)"
        "  THEN max(m.churned_at) FILTER (WHERE m.active) END AS churned_at"
        " FROM (SELECT m.workspace, m.user_id, m.account, m.at,"
        "  greatest(m.removed_at, whole.removed_at) AS gone_at,"
        "  m.account <> '' AND m.at > coalesce(greatest(m.removed_at, whole.removed_at),"
        "   CAST('-infinity' AS timestamptz)) AS active,"
        "  CASE WHEN a.reactivated_at IS NULL OR a.reactivated_at <= a.churned_at"
        "   THEN a.churned_at END AS churned_at"
        "  FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        "   AS u(workspace, user_id)"
        "  JOIN membership m ON m.workspace = u.workspace AND m.user_id = u.user_id"
        "  LEFT JOIN membership whole ON whole.workspace = u.workspace"
        "   AND whole.user_id = u.user_id AND whole.account = ''"
        "  LEFT JOIN account a ON a.workspace = m.workspace AND a.account = m.account) AS m"
        " GROUP BY m.workspace, m.user_id) AS s"
        " WHERE p.workspace = s.workspace AND p.user_id = s.user_id"
        " AND (p.account, p.removed_at, p.churned_at)"
        " IS DISTINCT FROM (s.account, s.removed_at, s.churned_at)"
        " RETURNING p.workspace, p.user_id",
        person_ids(sorted(persons)),
    )
    return [PersonId(row.workspace, row.user_id) for row in changed]


async def add_use(tx: Tx, used: Mapping[tuple[PersonId, str], tuple[int, datetime]]) -> None:
    """Add how often people used features, and when last."""
    if not used:
        return
    ordered = sorted(used.items())
    await tx.execute(
        text(
            "INSERT INTO feature_use AS f (workspace, user_id, feature, times, last_at)"
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
            " CAST(:features AS text[]), CAST(:times AS bigint[]), CAST(:at AS timestamptz[]))"
            " ON CONFLICT (workspace, user_id, feature) DO UPDATE SET"
            " times = f.times + excluded.times, last_at = greatest(f.last_at, excluded.last_at)"
        ),
        {
            **person_ids(person for (person, _), _ in ordered),
            "features": [feature for (_, feature), _ in ordered],
            "times": [times for _, (times, _) in ordered],
            "at": [at for _, (_, at) in ordered],
        },
    )


def person_ids(persons: Iterable[PersonId]) -> dict[str, list[str]]:
    """People as the arrays of a query."""
    listed = list(persons)
    return {
        "workspaces": [person.workspace for person in listed],
        "users": [person.user for person in listed],
    }


def person_in(row: Any) -> Person:
    """A person as a row holds it."""
    return Person(
        profile=_decode_profile(row.told),
        zones=_decode_zones(row.zones),
        identified_at=row.identified_at,
        known_at=row.known_at,
    )


def encoded(value: Any) -> str:
    """The same text for the same value: fields in the order of their names."""
    return msgspec.json.encode(value, order="sorted").decode()
