"""Accounts: what was told of them, and their lifecycle stage."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import text

from services.cadence.model.people import Account
from services.cadence.model.stages import Stage
from services.cadence.store.people import encoded
from shared.db import Tx, rows
from shared.events.told import AccountId, Told

_decode_profile = msgspec.json.Decoder(dict[str, Told]).decode
COLUMNS = (
    "a.workspace, a.account, a.told::text AS told, a.stage, a.ever_paid, a.left_once,"
    " a.churned_at, a.reactivated_at, a.onboarded_at"
)


async def load_accounts(tx: Tx, accounts: Collection[AccountId]) -> dict[AccountId, Account]:
    """Each of `accounts`, locked in id order; one never seen is made."""
    ids = _ids(sorted(accounts))
    await tx.execute(
        text(
            "INSERT INTO account (workspace, account)"
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[]))"
            " ON CONFLICT DO NOTHING"
        ),
        ids,
    )
    return await _listed(tx, ids, " ORDER BY a.workspace, a.account FOR UPDATE OF a")


async def list_accounts(tx: Tx, accounts: Collection[AccountId]) -> dict[AccountId, Account]:
    """Those of `accounts` that are known."""
    return await _listed(tx, _ids(sorted(accounts)))


async def _listed(tx: Tx, ids: Mapping[str, Any], how: str = "") -> dict[AccountId, Account]:
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM account a JOIN"
        " unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[])) AS u(workspace, account)"
        f" ON a.workspace = u.workspace AND a.account = u.account{how}",
        ids,
    )
    return {AccountId(row.workspace, row.account): _account(row) for row in found}


async def save_accounts(tx: Tx, accounts: Mapping[AccountId, Account]) -> None:
    """Keep what is now known of the accounts."""
    listed = list(accounts.values())
    await tx.execute(
        text(
            "UPDATE account a SET told = u.told, stage = u.stage, ever_paid = u.ever_paid,"
            " left_once = u.left_once, churned_at = u.churned_at,"
            " reactivated_at = u.reactivated_at, onboarded_at = u.onboarded_at"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:accounts AS text[]),"
            " CAST(CAST(:told AS text[]) AS jsonb[]), CAST(:stages AS text[]),"
            " CAST(:paid AS boolean[]), CAST(:left AS boolean[]), CAST(:churned AS timestamptz[]),"
            " CAST(:back AS timestamptz[]), CAST(:onboarded AS timestamptz[]))"
            " AS u(workspace, account, told, stage, ever_paid, left_once, churned_at,"
            " reactivated_at, onboarded_at)"
            " WHERE a.workspace = u.workspace AND a.account = u.account"
        ),
        {
            **_ids(accounts),
            "told": [encoded(dict(account.profile)) for account in listed],
            "stages": [account.stage.value for account in listed],
            "paid": [account.ever_paid for account in listed],
            "left": [account.left_once for account in listed],
            "churned": [account.churned_at for account in listed],
            "back": [account.reactivated_at for account in listed],
            "onboarded": [account.onboarded_at for account in listed],
        },
    )


def _ids(accounts: Iterable[AccountId]) -> dict[str, list[str]]:
    listed = list(accounts)
    return {
        "workspaces": [account.workspace for account in listed],
        "accounts": [account.account for account in listed],
    }


def _account(row: Any) -> Account:
    return Account(
        profile=_decode_profile(row.told),
        stage=Stage(row.stage),
        ever_paid=row.ever_paid,
        left_once=row.left_once,
        churned_at=row.churned_at,
        reactivated_at=row.reactivated_at,
        onboarded_at=row.onboarded_at,
    )
