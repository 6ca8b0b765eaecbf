"""Contracts as told last, concessions one by one, seats in use, first payments."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec
from sqlalchemy import text

from services.metrics.model.concessions import Concession, ConcessionKind
from services.metrics.model.contracts import Contract, Notice
from shared.db import Tx, rows
from shared.events.ingest import ContractUpserted

_decode = msgspec.json.Decoder(ContractUpserted).decode
_encode = msgspec.json.Encoder().encode


class Told(NamedTuple):
    """When something was said, and by which event; the latest stands."""

    at: datetime
    event: str


class ContractTold(NamedTuple):
    """What an event says of a contract: its terms, or that it ends."""

    account: str
    contract: str
    told: Told
    terms: ContractUpserted | None = None
    cancelled_on: date | None = None
    reason: str | None = None


class Agreement(NamedTuple):
    """A contract with what else was told of it."""

    contract: Contract
    value: Decimal | None
    currency: str | None
    seats: int | None
    cancel_reason: str | None


async def save_contracts(tx: Tx, workspace: str, told: Sequence[ContractTold]) -> None:
    """Let each contract be as it was told last, whatever comes first."""
    latest = _latest(each for each in told if each.terms is not None)
    if latest:
        await tx.execute(
            text(
                "INSERT INTO contract AS c (workspace, account, contract, terms, told_at, told_by)"
                " SELECT :workspace, account, contract, CAST(terms AS json), at, event FROM"
                " unnest(CAST(:accounts AS text[]), CAST(:contracts AS text[]),"
                " CAST(:at AS timestamptz[]), CAST(:events AS text[]), CAST(:terms AS text[]))"
                " AS u(account, contract, at, event, terms)"
                " ON CONFLICT (workspace, account, contract) DO UPDATE SET"
                " terms = excluded.terms, told_at = excluded.told_at, told_by = excluded.told_by"
                " WHERE c.told_at IS NULL"
                " OR (c.told_at, c.told_by) < (excluded.told_at, excluded.told_by)"
            ),
            {
                **_places(workspace, latest),
                "terms": [_encode(each.terms).decode() for each in latest],
            },
        )
    ended = _latest(each for each in told if each.cancelled_on is not None)
    if ended:
        await tx.execute(
            text(
                "INSERT INTO contract AS c (workspace, account, contract, cancelled_on,"
                " cancel_reason, cancel_told_at, cancel_told_by)"
                " SELECT :workspace, account, contract, cancelled_on, reason, at, event FROM"
                " unnest(CAST(:accounts AS text[]), CAST(:contracts AS text[]),"
                " CAST(:at AS timestamptz[]), CAST(:events AS text[]),"
                " CAST(:cancelled AS date[]), CAST(:reasons AS text[]))"
                " AS u(account, contract, at, event, cancelled_on, reason)"
                " ON CONFLICT (workspace, account, contract) DO UPDATE SET"
                " cancelled_on = excluded.cancelled_on, cancel_reason = excluded.cancel_reason,"
                " cancel_told_at = excluded.cancel_told_at,"
                " cancel_told_by = excluded.cancel_told_by WHERE c.cancel_told_at IS NULL"
                " OR (c.cancel_told_at, c.cancel_told_by)"
                "   < (excluded.cancel_told_at, excluded.cancel_told_by)"
            ),
            {
                **_places(workspace, ended),
                "cancelled": [each.cancelled_on for each in ended],
                "reasons": [each.reason for each in ended],
            },
        )


def _latest(told: Iterable[ContractTold]) -> list[ContractTold]:
    latest: dict[tuple[str, str], ContractTold] = {}
    for each in sorted(told, key=lambda each: each.told):
        latest[each.account, each.contract] = each
    return [latest[place] for place in sorted(latest)]


def _places(workspace: str, told: Sequence[ContractTold]) -> dict[str, object]:
    return {
        "workspace": workspace,
        "accounts": [each.account for each in told],
        "contracts": [each.contract for each in told],
        "at": [each.told.at for each in told],
        "events": [each.told.event for each in told],
    }


class Place(NamedTuple):
    """Where a list of contracts goes on."""

    account: str
    contract: str


BEGINNING = Place("", "")


async def list_contracts(
    tx: Tx, workspace: str, *, after: Place = BEGINNING, limit: int
) -> list[Agreement]:
    """The next contracts whose terms are known, by account and id."""
    found = await rows(
        tx,
        "SELECT account, contract, terms::text AS terms, cancelled_on, cancel_reason FROM contract"
        " WHERE workspace = :workspace AND terms IS NOT NULL"
        " AND (account, contract) > (:account, :contract)"
        " ORDER BY account, contract LIMIT :limit",
        {"workspace": workspace, **after._asdict(), "limit": limit},
    )
    return [
        _agreement(row.account, _decode(row.terms), row.cancelled_on, row.cancel_reason)
        for row in found
    ]


def _agreement(
    account: str, terms: ContractUpserted, cancelled_on: date | None, reason: str | None
) -> Agreement:
    contract = Contract(
        contract=terms.contract,
        account=account,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        term_months=terms.term_months,
        auto_renew=terms.auto_renew,
        notice_days=terms.notice_days,
        opt_out_days=terms.opt_out_days,
        cancelled_on=cancelled_on,
    )
    value = None if terms.value is None else Decimal(terms.value)
    return Agreement(contract, value, terms.currency, terms.seats, reason)


# --- notices -------------------------------------------------------------------------------------


class NoticeTold(NamedTuple):
    """A notice of a contract that was published."""

    account: str
    contract: str
    notice: Notice
    on_day: date


async def append_notices(
    tx: Tx, workspace: str, notices: Collection[NoticeTold]
) -> set[NoticeTold]:
    """Note the notices as published; those that were not before."""
    listed = sorted(notices)
    if not listed:
        return set()
    found = await rows(
        tx,
        "INSERT INTO contract_notice (workspace, account, contract, notice, on_day)"
        " SELECT :workspace, u.* FROM unnest(CAST(:accounts AS text[]),"
        " CAST(:contracts AS text[]), CAST(:notices AS text[]), CAST(:days AS date[])) AS u"
        " ON CONFLICT DO NOTHING RETURNING account, contract, notice, on_day",
        {
            "workspace": workspace,
            "accounts": [each.account for each in listed],
            "contracts": [each.contract for each in listed],
            "notices": [each.notice.value for each in listed],
            "days": [each.on_day for each in listed],
        },
    )
    return {NoticeTold(row.account, row.contract, Notice(row.notice), row.on_day) for row in found}


# --- concessions ---------------------------------------------------------------------------------


class Granted(NamedTuple):
    """A concession and the event that told it."""

    event: str
    concession: Concession


async def append_concessions(tx: Tx, workspace: str, granted: Sequence[Granted]) -> None:
    """Keep concessions; one that is kept stays as it is."""
    if granted:
        given = [each.concession for each in granted]
        await tx.execute(
            text(
                "INSERT INTO concession (workspace, event, account, kind, value, currency,"
                " granted_at, in_return, granted_by, reason) SELECT :workspace, u.* FROM"
                " unnest(CAST(:events AS text[]), CAST(:accounts AS text[]),"
                " CAST(:kinds AS text[]), CAST(:amounts AS numeric[]), CAST(:currencies AS text[]),"
                " CAST(:at AS timestamptz[]), CAST(:returns AS text[]), CAST(:by AS text[]),"
                " CAST(:reasons AS text[])) AS u ON CONFLICT DO NOTHING"
            ),
            {
                "workspace": workspace,
                "events": [each.event for each in granted],
                "accounts": [each.account for each in given],
                "kinds": [each.kind.value for each in given],
                "amounts": [each.value for each in given],
                "currencies": [each.currency for each in given],
                "at": [each.granted_at for each in given],
                "returns": [each.in_return for each in given],
                "by": [each.by for each in given],
                "reasons": [each.reason for each in given],
            },
        )


async def list_concessions(
    tx: Tx, workspace: str, *, after: Told | None = None, limit: int
) -> list[Granted]:
    """The next concessions by when they were granted."""
    found = await rows(
        tx,
        "SELECT event, account, kind, value, currency, granted_at, in_return, granted_by, reason"
        " FROM concession WHERE workspace = :workspace"
        " AND (CAST(:at AS timestamptz) IS NULL OR (granted_at, event) > (:at, :event))"
        " ORDER BY granted_at, event LIMIT :limit",
        {
            "workspace": workspace,
            "at": None if after is None else after.at,
            "event": "" if after is None else after.event,
            "limit": limit,
        },
    )
    return [
        Granted(
            row.event,
            Concession(
                account=row.account,
                kind=ConcessionKind(row.kind),
                value=row.value,
                currency=row.currency,
                granted_at=row.granted_at,
                in_return=row.in_return,
                by=row.granted_by,
                reason=row.reason,
            ),
        )
        for row in found
    ]


# --- seats and payments --------------------------------------------------------------------------


async def append_seats(tx: Tx, workspace: str, users: Collection[tuple[str, str]]) -> None:
    """Keep which people events name as members of which accounts: pairs of account and user."""
    if users:
        listed = sorted(users)
        await tx.execute(
            text(
                'INSERT INTO seat (workspace, account, "user") SELECT :workspace, u.* FROM'
                " unnest(CAST(:accounts AS text[]), CAST(:users AS text[])) AS u"
                " ON CONFLICT DO NOTHING"
            ),
            {
                "workspace": workspace,
                "accounts": [account for account, _ in listed],
                "users": [user for _, user in listed],
            },
        )


class Payment(NamedTuple):
    """A payment that an account made."""

    account: str
    told: Told
    amount: Decimal
    currency: str


async def save_first_payments(tx: Tx, workspace: str, payments: Sequence[Payment]) -> list[Payment]:
    """Keep the first payment of each account; those of accounts that had none before."""
    first: dict[str, Payment] = {}
    for payment in sorted(payments, key=lambda payment: payment.told, reverse=True):
        first[payment.account] = payment
    listed = [first[account] for account in sorted(first)]
    found = await rows(
        tx,
        "INSERT INTO first_payment AS p (workspace, account, at, event, amount, currency)"
        " SELECT :workspace, u.* FROM unnest(CAST(:accounts AS text[]),"
        " CAST(:at AS timestamptz[]), CAST(:events AS text[]), CAST(:amounts AS numeric[]),"
        " CAST(:currencies AS text[])) AS u(account, at, event, amount, currency)"
        " ON CONFLICT (workspace, account) DO UPDATE SET at = excluded.at,"
        " event = excluded.event, amount = excluded.amount, currency = excluded.currency"
        " WHERE (excluded.at, excluded.event) < (p.at, p.event)"
        " RETURNING account, (xmax = 0) AS is_new",
        {
            "workspace": workspace,
            "accounts": [payment.account for payment in listed],
            "at": [payment.told.at for payment in listed],
            "events": [payment.told.event for payment in listed],
            "amounts": [payment.amount for payment in listed],
            "currencies": [payment.currency for payment in listed],
        },
    )
    return [first[row.account] for row in found if row.is_new]
