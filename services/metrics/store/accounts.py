"""Accounts as they are known here: what was told of them, their ids elsewhere, their currencies."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from services.metrics.model.continuation import Continuation
from services.metrics.model.knowledge import Alias
from services.metrics.model.state import decoded, encoded
from shared.db import Tx, rows
from shared.events.told import Profile, Told


class Account(NamedTuple):
    """What decides where an account is counted; `counted`: walk-through accounts are not."""

    segment: str | None
    counted: bool
    currencies: tuple[str, ...] = ()
    continuation: Continuation | None = None
    """From where its books can be carried on."""


class Telling(NamedTuple):
    """What one event told of an account."""

    account: str
    event: str
    at: datetime
    recorded_at: datetime
    told: Mapping[str, Any]


_decode_profile = msgspec.json.Decoder(dict[str, Told]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


async def load_accounts(tx: Tx, workspace: str, accounts: Collection[str]) -> dict[str, Account]:
    """Each of the accounts, made where it is new; who calls holds the ledger."""
    listed = sorted(accounts)
    await tx.execute(
        text(
            "INSERT INTO account (workspace, account)"
            " SELECT :workspace, unnest(CAST(:accounts AS text[])) ON CONFLICT DO NOTHING"
        ),
        {"workspace": workspace, "accounts": listed},
    )
    found = await rows(
        tx,
        "SELECT account, segment, counted, currencies, standing, settled_at, learned_at,"
        " first_paid_at FROM account"
        " WHERE workspace = :workspace AND account = ANY(CAST(:accounts AS text[]))",
        {"workspace": workspace, "accounts": listed},
    )
    return {
        row.account: Account(row.segment, row.counted, tuple(row.currencies), _continuation(row))
        for row in found
    }


def _continuation(row: Any) -> Continuation | None:
    if row.standing is None:
        return None
    states = tuple(decoded(row.standing))
    return Continuation(states, row.settled_at, row.learned_at, row.first_paid_at)


class Kept(NamedTuple):
    """What is kept of an account's books beside them."""

    currencies: tuple[str, ...]
    continuation: Continuation | None


async def save_kept(tx: Tx, workspace: str, kept: Mapping[str, Kept]) -> None:
    """Note which currencies accounts have ever had, and from where they can be carried on."""
    if not kept:
        return
    places = [each.continuation for each in kept.values()]
    await tx.execute(
        text(
            "UPDATE account a SET currencies ="
            " ARRAY(SELECT json_array_elements_text(CAST(u.currencies AS json))),"
            " standing = u.standing, settled_at = u.settled_at, learned_at = u.learned_at,"
            " first_paid_at = u.first_paid_at"
            " FROM unnest(CAST(:accounts AS text[]), CAST(:currencies AS text[]),"
            " CAST(:standing AS bytea[]), CAST(:settled AS timestamptz[]),"
            " CAST(:learned AS timestamptz[]), CAST(:paid AS timestamptz[]))"
            " AS u(account, currencies, standing, settled_at, learned_at, first_paid_at)"
            " WHERE a.workspace = :workspace AND a.account = u.account"
        ),
        {
            "workspace": workspace,
            "accounts": list(kept),
            "currencies": [_encode(list(each.currencies)).decode() for each in kept.values()],
            "standing": [None if place is None else encoded(place.states) for place in places],
            "settled": [None if place is None else place.settled_at for place in places],
            "learned": [None if place is None else place.learned_at for place in places],
            "paid": [None if place is None else place.first_paid_at for place in places],
        },
    )


async def load_profiles(
    tx: Tx, workspace: str, accounts: Collection[str]
) -> dict[str, dict[str, Told]]:
    """What was told of each of the accounts; nothing of one never seen."""
    found = await rows(
        tx,
        "SELECT account, profile::text AS profile FROM account"
        " WHERE workspace = :workspace AND account = ANY(CAST(:accounts AS text[]))",
        {"workspace": workspace, "accounts": sorted(accounts)},
    )
    known = {row.account: _decode_profile(row.profile) for row in found}
    return {account: known.get(account, {}) for account in accounts}


async def save_profiles(tx: Tx, workspace: str, profiles: Mapping[str, Profile]) -> None:
    """Keep what is now known of the accounts, whose rows stand."""
    await tx.execute(
        text(
            "UPDATE account a SET profile = CAST(u.profile AS jsonb)"
            " FROM unnest(CAST(:accounts AS text[]), CAST(:profiles AS text[]))"
            " AS u(account, profile) WHERE a.workspace = :workspace AND a.account = u.account"
        ),
        {
            "workspace": workspace,
            "accounts": list(profiles),
            "profiles": [_encode(profile).decode() for profile in profiles.values()],
        },
    )


async def append_tellings(tx: Tx, workspace: str, tellings: Sequence[Telling]) -> None:
    """Keep what each event told, for who asks what was known then."""
    await tx.execute(
        text(
            "INSERT INTO telling (workspace, account, event, at, recorded_at, told)"
            " SELECT :workspace, account, event, at, recorded_at, CAST(told AS jsonb) FROM"
            " unnest(CAST(:accounts AS text[]), CAST(:events AS text[]),"
            " CAST(:at AS timestamptz[]), CAST(:recorded AS timestamptz[]),"
            " CAST(:told AS text[])) AS u(account, event, at, recorded_at, told)"
            " ON CONFLICT DO NOTHING"
        ),
        {
            "workspace": workspace,
            "accounts": [telling.account for telling in tellings],
            "events": [telling.event for telling in tellings],
            "at": [telling.at for telling in tellings],
            "recorded": [telling.recorded_at for telling in tellings],
            "told": [_encode(telling.told).decode() for telling in tellings],
        },
    )


# --- ids elsewhere -------------------------------------------------------------------------------


async def append_aliases(tx: Tx, workspace: str, aliases: Sequence[Alias]) -> None:
    """Keep which customers of the billing system events said to be which accounts."""
    if aliases:
        await tx.execute(
            text(
                "INSERT INTO alias (workspace, customer, event, account, at, recorded_at)"
                " SELECT :workspace, customer, event, account, at, recorded_at FROM"
                " unnest(CAST(:customers AS text[]), CAST(:events AS text[]),"
                " CAST(:accounts AS text[]), CAST(:at AS timestamptz[]),"
                " CAST(:recorded AS timestamptz[]))"
                " AS u(customer, event, account, at, recorded_at) ON CONFLICT DO NOTHING"
            ),
            {
                "workspace": workspace,
                "customers": [alias.customer for alias in aliases],
                "events": [alias.event for alias in aliases],
                "accounts": [alias.account for alias in aliases],
                "at": [alias.at for alias in aliases],
                "recorded": [alias.recorded_at for alias in aliases],
            },
        )


async def list_aliases(tx: Tx, workspace: str, accounts: Collection[str]) -> list[Alias]:
    """All that was said of every customer that is one of the accounts, or was said to be one."""
    found = await rows(
        tx,
        "SELECT customer, account, event, at, recorded_at FROM alias"
        " WHERE workspace = :workspace AND customer IN (SELECT customer FROM alias"
        "   WHERE workspace = :workspace AND (account = ANY(CAST(:accounts AS text[]))"
        "   OR customer = ANY(CAST(:accounts AS text[]))))",
        {"workspace": workspace, "accounts": sorted(accounts)},
    )
    return [Alias(*row) for row in found]
