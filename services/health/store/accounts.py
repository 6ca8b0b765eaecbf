"""Accounts, their people and their members: who they are and what was said of them."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import ClassVar

import msgspec
from sqlalchemy import text

from services.health.model.account import MemberKey, Person, Seen
from services.health.model.use import Place, number_of
from shared.db import Tx, rows
from shared.errors import PermanentError
from shared.events.told import AccountId, PersonId, Profile


class NumberTaken(PermanentError):
    """Two accounts of a workspace have the same number: the second cannot be counted."""

    code: ClassVar[str] = "account_number_taken"


_decode_profile = msgspec.json.Decoder(Profile).decode


async def identify(tx: Tx, accounts: Iterable[AccountId]) -> dict[AccountId, Place]:
    """The place of each account, made where it is new; the rows are locked in id order.

    Whoever changes rollups, habits or the profile of an account holds this lock. Raises
    NumberTaken.
    """
    wanted = set(accounts)
    places = await _lock(tx, wanted)
    if missing := sorted(wanted - places.keys()):
        await tx.execute(
            text(
                "INSERT INTO account (workspace, account, number)"
                " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[]),"
                " CAST(:numbers AS bigint[])) ON CONFLICT DO NOTHING"
            ),
            {**_ids(missing), "numbers": [number_of(account) for account in missing]},
        )
        places |= await _lock(tx, missing)
    if refused := sorted(wanted - places.keys()):
        raise NumberTaken(f"{refused[0].account}: its number is another account's")
    return places


async def _lock(tx: Tx, accounts: Collection[AccountId]) -> dict[AccountId, Place]:
    found = await rows(
        tx,
        "SELECT a.workspace, a.account, a.number FROM account a JOIN"
        " unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[])) AS u(workspace, account)"
        " ON a.workspace = u.workspace AND a.account = u.account"
        " ORDER BY a.workspace, a.account FOR NO KEY UPDATE OF a",
        _ids(sorted(accounts)),
    )
    return {
        AccountId(row.workspace, row.account): Place(row.workspace, row.number) for row in found
    }


def _ids(accounts: Iterable[AccountId]) -> dict[str, list[str]]:
    listed = list(accounts)
    return {
        "workspaces": [account.workspace for account in listed],
        "accounts": [account.account for account in listed],
    }


# --- what was said of accounts and people --------------------------------------------------------


class Column(StrEnum):
    """Where an account keeps what was said of it: by the customer's own systems, or by metrics."""

    PROFILE = "profile"
    COMMERCIAL = "commercial"


async def load_told(
    tx: Tx, accounts: Collection[AccountId], *, column: Column
) -> dict[AccountId, Profile]:
    """What was said of each of `accounts`, locked in id order; nothing of one never seen."""
    await identify(tx, accounts)
    found = await rows(
        tx,
        f"SELECT a.workspace, a.account, a.{column}::text AS told FROM account a JOIN"
        " unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[])) AS u(workspace, account)"
        " ON a.workspace = u.workspace AND a.account = u.account",
        _ids(accounts),
    )
    return {AccountId(row.workspace, row.account): _decode_profile(row.told) for row in found}


async def save_told(tx: Tx, told: Mapping[AccountId, Profile], *, column: Column) -> None:
    """Keep what is now known of the accounts."""
    await tx.execute(
        text(
            f"UPDATE account a SET {column} = u.told FROM unnest(CAST(:workspaces AS text[]),"
            " CAST(:accounts AS text[]), CAST(CAST(:told AS text[]) AS jsonb[]))"
            " AS u(workspace, account, told)"
            " WHERE a.workspace = u.workspace AND a.account = u.account"
        ),
        {**_ids(told), "told": [_encoded(profile) for profile in told.values()]},
    )


async def load_persons(tx: Tx, persons: Collection[PersonId]) -> dict[PersonId, Person]:
    """Each of `persons`, locked in id order; one never seen is made."""
    ids = _person_ids(sorted(persons))
    await tx.execute(
        text(
            'INSERT INTO person (workspace, "user")'
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
            " ON CONFLICT DO NOTHING"
        ),
        ids,
    )
    found = await rows(
        tx,
        'SELECT p.workspace, p."user", p.profile::text AS profile, p.identified_at'
        " FROM person p JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        ' AS u(workspace, "user") ON p.workspace = u.workspace AND p."user" = u."user"'
        ' ORDER BY p.workspace, p."user" FOR UPDATE OF p',
        ids,
    )
    return {
        PersonId(row.workspace, row.user): Person(
            profile=_decode_profile(row.profile), identified_at=row.identified_at
        )
        for row in found
    }


async def save_persons(tx: Tx, persons: Mapping[PersonId, Person]) -> None:
    """Keep what is now known of the people."""
    await tx.execute(
        text(
            "UPDATE person p SET profile = u.profile, identified_at = u.identified_at"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
            " CAST(CAST(:profiles AS text[]) AS jsonb[]), CAST(:identified AS timestamptz[]))"
            ' AS u(workspace, "user", profile, identified_at)'
            ' WHERE p.workspace = u.workspace AND p."user" = u."user"'
        ),
        {
            **_person_ids(persons),
            "profiles": [_encoded(person.profile) for person in persons.values()],
            "identified": [person.identified_at for person in persons.values()],
        },
    )


def _person_ids(persons: Iterable[PersonId]) -> dict[str, list[str]]:
    listed = list(persons)
    return {
        "workspaces": [person.workspace for person in listed],
        "users": [person.user for person in listed],
    }


def _encoded(profile: Profile) -> str:
    """The same text for the same profile: fields in the order of their names."""
    return msgspec.json.encode(dict(profile), order="sorted").decode()


# --- members -------------------------------------------------------------------------------------


async def add_members(
    tx: Tx, seen: Mapping[MemberKey, Seen], places: Mapping[AccountId, Place]
) -> None:
    """Widen the days on which members were seen. A day that is known already writes nothing."""
    if not seen:
        return
    members = list(seen.items())
    await tx.execute(
        text(
            'INSERT INTO member AS m (workspace, account, "user", first_on, last_on)'
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:numbers AS bigint[]),"
            " CAST(:users AS text[]), CAST(:first AS date[]), CAST(:last AS date[]))"
            ' ON CONFLICT (workspace, account, "user") DO UPDATE SET'
            " first_on = least(m.first_on, excluded.first_on),"
            " last_on = greatest(m.last_on, excluded.last_on)"
            " WHERE excluded.first_on < m.first_on OR excluded.last_on > m.last_on"
        ),
        {
            "workspaces": [key.workspace for key, _ in members],
            "numbers": [places[AccountId(key.workspace, key.account)].number for key, _ in members],
            "users": [key.user for key, _ in members],
            "first": [days.first_on for _, days in members],
            "last": [days.last_on for _, days in members],
        },
    )
