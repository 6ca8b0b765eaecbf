"""Who can be asked: people with their sign-up, zone and consents, and the accounts they are in.

Every column keeps what the latest event said of it, so that events may come in any order.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from sqlalchemy import text

from shared.db import Tx, rows

T = TypeVar("T")


class PersonTold(NamedTuple):
    """What one event told of a person; None where it said nothing."""

    user: str
    at: datetime
    signed_up_at: datetime | None = None
    zone: str | None = None
    learned: bool = False
    """The zone is where the sign-up happened, not where the person went."""
    locale: str | None = None
    role: str | None = None


class Consent(NamedTuple):
    """Whether a person may be written to about a topic, or `all`."""

    user: str
    about: str
    granted: bool
    at: datetime


class Membership(NamedTuple):
    """A person in an account; `gone`: no longer a seat of it."""

    user: str
    account: str
    at: datetime
    gone: bool = False


class AccountTold(NamedTuple):
    """What one event told of an account; None where it said nothing."""

    account: str
    at: datetime
    name: str | None = None
    tier: str | None = None
    owner: str | None = None
    time_zone: str | None = None
    synthetic: bool | None = None


class Worth(NamedTuple):
    """What the ledger told of an account: its MRR now, and whether it went or came back."""

    account: str
    mrr: Decimal | None
    churned_at: datetime | None = None
    returned_at: datetime | None = None


LATEST_OF_PERSON = ("locale", "role")
LATEST_OF_ACCOUNT = ("name", "tier", "owner", "time_zone", "synthetic")


async def save_people(tx: Tx, workspace: str, told: Sequence[PersonTold]) -> None:
    """Keep what was told of people: of each fact what the latest event said."""
    for each in _rounds(told, lambda person: person.user):
        await tx.execute(
            text(
                'INSERT INTO person AS p (workspace, "user", identified_at, signed_up_said,'
                " signed_up_told_at, first_zone, first_zone_at, learned_zone, learned_at, locale,"
                " locale_at, role, role_at)"
                " SELECT :workspace, u.name, u.at, u.signed_up,"
                " CASE WHEN u.signed_up IS NOT NULL THEN u.at END,"
                " u.zone, CASE WHEN u.zone IS NOT NULL THEN u.at END,"
                " CASE WHEN u.learned THEN u.zone END, CASE WHEN u.learned THEN u.at END,"
                " u.locale, CASE WHEN u.locale IS NOT NULL THEN u.at END,"
                " u.role, CASE WHEN u.role IS NOT NULL THEN u.at END"
                " FROM unnest(CAST(:users AS text[]), CAST(:at AS timestamptz[]),"
                " CAST(:signed_up AS timestamptz[]), CAST(:zones AS text[]),"
                " CAST(:learned AS boolean[]), CAST(:locales AS text[]), CAST(:roles AS text[]))"
                " AS u(name, at, signed_up, zone, learned, locale, role)"
                ' ON CONFLICT (workspace, "user") DO UPDATE SET'
                " identified_at = least(p.identified_at, excluded.identified_at),"
                f" {_later('signed_up_said', 'signed_up_told_at', 'p')},"
                " first_zone = CASE WHEN excluded.first_zone_at < p.first_zone_at"
                "   OR p.first_zone_at IS NULL THEN excluded.first_zone ELSE p.first_zone END,"
                " first_zone_at = least(p.first_zone_at, excluded.first_zone_at),"
                f" {_later('learned_zone', 'learned_at', 'p')}, "
                + ", ".join(_later(name, f"{name}_at", "p") for name in LATEST_OF_PERSON)
            ),
            {
                "workspace": workspace,
                "users": [person.user for person in each],
                "at": [person.at for person in each],
                "signed_up": [person.signed_up_at for person in each],
                "zones": [person.zone for person in each],
                "learned": [person.learned and person.zone is not None for person in each],
                "locales": [person.locale for person in each],
                "roles": [person.role for person in each],
            },
        )


def _rounds(told: Iterable[T], key: Callable[[T], str]) -> Iterator[list[T]]:
    """What was told, so parted that no round names a key twice; within a round in key order.

    A statement can write a row once only, and two that write rows in one order never deadlock.
    """
    rounds: list[dict[str, T]] = []
    depth: Counter[str] = Counter()
    for each in told:
        name = key(each)
        if depth[name] == len(rounds):
            rounds.append({})
        rounds[depth[name]][name] = each
        depth[name] += 1
    for found in rounds:
        yield [found[name] for name in sorted(found)]


def _later(value: str, at: str, table: str) -> str:
    """Of a value and when it was told: keep the one told later; nothing told changes nothing."""
    return (
        f"{value} = CASE WHEN excluded.{at} >= coalesce({table}.{at}, '-infinity')"
        f" THEN excluded.{value} ELSE {table}.{value} END,"
        f" {at} = greatest({table}.{at}, excluded.{at})"
    )


async def save_consents(tx: Tx, workspace: str, consents: Sequence[Consent]) -> None:
    """Keep consents as they were said last."""
    latest = {(each.user, each.about): each for each in sorted(consents, key=lambda each: each.at)}
    if not latest:
        return
    listed = [latest[key] for key in sorted(latest)]
    await tx.execute(
        text(
            'INSERT INTO consent AS c (workspace, "user", about, granted, at)'
            " SELECT :workspace, u.* FROM unnest(CAST(:users AS text[]), CAST(:abouts AS text[]),"
            " CAST(:granted AS boolean[]), CAST(:at AS timestamptz[])) AS u"
            ' ON CONFLICT (workspace, "user", about) DO UPDATE'
            " SET granted = excluded.granted, at = excluded.at WHERE excluded.at >= c.at"
        ),
        {
            "workspace": workspace,
            "users": [each.user for each in listed],
            "abouts": [each.about for each in listed],
            "granted": [each.granted for each in listed],
            "at": [each.at for each in listed],
        },
    )


async def save_memberships(tx: Tx, workspace: str, memberships: Sequence[Membership]) -> None:
    """Keep who is in which account; who is named again after having gone is back."""
    merged: dict[tuple[str, str], tuple[datetime | None, datetime | None]] = {}
    for each in memberships:
        told_at, gone_at = merged.get((each.user, each.account), (None, None))
        if each.gone:
            gone_at = max(gone_at or each.at, each.at)
        else:
            told_at = max(told_at or each.at, each.at)
        merged[each.user, each.account] = (told_at, gone_at)
    if not merged:
        return
    listed = sorted(merged.items())
    await tx.execute(
        text(
            'INSERT INTO membership AS m (workspace, "user", account, told_at, removed_at)'
            " SELECT :workspace, u.member, u.account, coalesce(u.told_at, '-infinity'), u.gone_at"
            " FROM unnest(CAST(:users AS text[]), CAST(:accounts AS text[]),"
            " CAST(:told AS timestamptz[]), CAST(:gone AS timestamptz[]))"
            " AS u(member, account, told_at, gone_at)"
            ' ON CONFLICT (workspace, "user", account) DO UPDATE SET'
            " told_at = greatest(m.told_at, excluded.told_at),"
            " removed_at = greatest(m.removed_at, excluded.removed_at)"
        ),
        {
            "workspace": workspace,
            "users": [user for (user, _), _ in listed],
            "accounts": [account for (_, account), _ in listed],
            "told": [told for _, (told, _) in listed],
            "gone": [gone for _, (_, gone) in listed],
        },
    )


async def save_accounts(tx: Tx, workspace: str, told: Sequence[AccountTold]) -> None:
    """Keep what was told of accounts: of each fact what the latest event said."""
    columns = ", ".join(f"{name}, {name}_at" for name in LATEST_OF_ACCOUNT)
    values = ", ".join(
        f"u.{name}, CASE WHEN u.{name} IS NOT NULL THEN u.at END" for name in LATEST_OF_ACCOUNT
    )
    for each in _rounds(told, lambda account: account.account):
        await tx.execute(
            text(
                f"INSERT INTO account AS a (workspace, account, {columns})"
                f" SELECT :workspace, u.account, {values}"
                " FROM unnest(CAST(:account AS text[]), CAST(:at AS timestamptz[]),"
                " CAST(:name AS text[]), CAST(:tier AS text[]), CAST(:owner AS text[]),"
                " CAST(:time_zone AS text[]), CAST(:synthetic AS boolean[]))"
                f" AS u({', '.join(AccountTold._fields)})"
                " ON CONFLICT (workspace, account) DO UPDATE SET "
                + ", ".join(_later(name, f"{name}_at", "a") for name in LATEST_OF_ACCOUNT)
            ),
            {"workspace": workspace, **_columns(each, AccountTold._fields)},
        )


def _columns(found: Sequence[object], names: Sequence[str]) -> dict[str, list[object]]:
    return {name: [getattr(each, name) for each in found] for name in names}


async def append_accounts(tx: Tx, workspace: str, accounts: Collection[str]) -> None:
    """Let these accounts be known here, with nothing said of them."""
    if accounts:
        await tx.execute(
            text(
                "INSERT INTO account (workspace, account)"
                " SELECT :workspace, unnest(CAST(:accounts AS text[])) ON CONFLICT DO NOTHING"
            ),
            {"workspace": workspace, "accounts": sorted(accounts)},
        )


async def save_worth(tx: Tx, workspace: str, worth: Sequence[Worth]) -> None:
    """Keep what the ledger told, in the order in which it told it: the last MRR stands."""
    for each in _rounds(worth, lambda told: told.account):
        await tx.execute(
            text(
                "INSERT INTO account AS a (workspace, account, mrr, churned_at, returned_at)"
                " SELECT :workspace, u.* FROM unnest(CAST(:account AS text[]),"
                " CAST(:mrr AS numeric[]), CAST(:churned_at AS timestamptz[]),"
                " CAST(:returned_at AS timestamptz[])) AS u"
                " ON CONFLICT (workspace, account) DO UPDATE SET"
                " mrr = coalesce(excluded.mrr, a.mrr),"
                " churned_at = greatest(a.churned_at, excluded.churned_at),"
                " returned_at = greatest(a.returned_at, excluded.returned_at)"
            ),
            {"workspace": workspace, **_columns(each, Worth._fields)},
        )


async def get_owner(tx: Tx, workspace: str, account: str | None) -> str | None:
    """Staff e-mail of an account's owner; None while nobody's."""
    found = await rows(
        tx,
        "SELECT owner FROM account WHERE workspace = :workspace AND account = :account",
        {"workspace": workspace, "account": account},
    )
    return found[0].owner if found else None
