"""The steps of accounts with what was believed when: added and closed, never changed."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from services.metrics.model.intervals import Believed, Change
from services.metrics.model.timeline import Step
from shared.db import Tx, rows

# Bounds the memory of a walk over a workspace, and how long it keeps others from the loop.
ACCOUNTS_AT_ONCE = 100

StepRow = Believed[datetime, Step]


def _fraction(amount: Fraction) -> str:
    """An amount as text, `1000/3` or `5`: no number of JSON holds every one."""
    return str(amount)


def _exact(_: type, said: str) -> Fraction:
    if "/" not in said:
        return Fraction(int(said))
    numerator, denominator = said.split("/")
    return Fraction(int(numerator), int(denominator))


# In one order of keys: a rebuild compares rows as text.
_encode = msgspec.json.Encoder(enc_hook=_fraction, order="deterministic").encode
_decode = msgspec.json.Decoder(Step, dec_hook=_exact).decode


async def list_believed(
    tx: Tx, workspace: str, accounts: Collection[str], *, since: datetime
) -> dict[str, list[StepRow]]:
    """The rows of each account that are believed at some time from `since` on."""
    found = await rows(
        tx,
        "SELECT account, at, step::text AS step, known_from, known_to FROM step"
        " WHERE workspace = :workspace AND account = ANY(CAST(:accounts AS text[]))"
        " AND (known_to IS NULL OR known_to >= :since) ORDER BY account, at, known_from",
        {"workspace": workspace, "accounts": sorted(accounts), "since": since},
    )
    listed: dict[str, list[StepRow]] = {account: [] for account in accounts}
    for account, at, step, known_from, known_to in found:
        listed[account].append(Believed(at, _decode(step), known_from, known_to))
    return listed


async def save_changes(
    tx: Tx, workspace: str, changes: Mapping[str, Change[datetime, Step]]
) -> None:
    """Add, close and (only where older knowledge came) remove rows."""
    await _remove(tx, workspace, [(a, row) for a, c in changes.items() for row in c.removed])
    await _close(tx, workspace, [(a, row) for a, c in changes.items() for row in c.closed])
    await _add(tx, workspace, [(a, row) for a, c in changes.items() for row in c.added])


async def _add(tx: Tx, workspace: str, added: Sequence[tuple[str, StepRow]]) -> None:
    if not added:
        return
    await tx.execute(
        text(
            "INSERT INTO step (workspace, account, at, step, known_from, known_to)"
            " SELECT :workspace, account, at, CAST(step AS json), known_from, known_to FROM"
            " unnest(CAST(:accounts AS text[]), CAST(:at AS timestamptz[]),"
            " CAST(:steps AS text[]), CAST(:known_from AS timestamptz[]),"
            " CAST(:known_to AS timestamptz[]))"
            " AS u(account, at, step, known_from, known_to)"
        ),
        {
            "workspace": workspace,
            **_places(added),
            "steps": [_encode(row.value).decode() for _, row in added],
            "known_to": [row.known_to for _, row in added],
        },
    )


async def _close(tx: Tx, workspace: str, closed: Sequence[tuple[str, StepRow]]) -> None:
    if not closed:
        return
    await tx.execute(
        text(
            "UPDATE step s SET known_to = u.known_to FROM"
            " unnest(CAST(:accounts AS text[]), CAST(:at AS timestamptz[]),"
            " CAST(:known_from AS timestamptz[]), CAST(:known_to AS timestamptz[]))"
            " AS u(account, at, known_from, known_to) WHERE s.workspace = :workspace"
            " AND s.account = u.account AND s.at = u.at AND s.known_from = u.known_from"
        ),
        {
            "workspace": workspace,
            **_places(closed),
            "known_to": [row.known_to for _, row in closed],
        },
    )


async def _remove(tx: Tx, workspace: str, removed: Sequence[tuple[str, StepRow]]) -> None:
    if not removed:
        return
    await tx.execute(
        text(
            "DELETE FROM step s USING unnest(CAST(:accounts AS text[]),"
            " CAST(:at AS timestamptz[]), CAST(:known_from AS timestamptz[]))"
            " AS u(account, at, known_from) WHERE s.workspace = :workspace"
            " AND s.account = u.account AND s.at = u.at AND s.known_from = u.known_from"
        ),
        {"workspace": workspace, **_places(removed)},
    )


def _places(listed: Sequence[tuple[str, StepRow]]) -> dict[str, list[Any]]:
    return {
        "accounts": [account for account, _ in listed],
        "at": [row.key for _, row in listed],
        "known_from": [row.known_from for _, row in listed],
    }


async def list_ends(
    tx: Tx, workspace: str, since: Mapping[str, datetime]
) -> dict[str, tuple[Step, ...]]:
    """The steps that are believed of each account from an instant on, and the last one before."""
    columns = "SELECT at, step::text AS step FROM step s WHERE s.workspace = :workspace"
    of_account = "AND s.account = u.account AND s.known_to IS NULL"
    found = await rows(
        tx,
        "SELECT u.account, e.step FROM"
        " unnest(CAST(:accounts AS text[]), CAST(:since AS timestamptz[])) AS u(account, since)"
        f" CROSS JOIN LATERAL (({columns} {of_account} AND s.at >= u.since)"
        f" UNION ALL ({columns} {of_account} AND s.at < u.since ORDER BY s.at DESC LIMIT 1)) AS e"
        " ORDER BY u.account, e.at",
        {"workspace": workspace, "accounts": list(since), "since": list(since.values())},
    )
    ends: dict[str, list[Step]] = {account: [] for account in since}
    for account, step in found:
        ends[account].append(_decode(step))
    return {account: tuple(listed) for account, listed in ends.items()}


# --- reading -------------------------------------------------------------------------------------


class AccountSteps(NamedTuple):
    """An account with its steps in order."""

    account: str
    steps: tuple[Step, ...]


async def list_timelines(
    tx: Tx,
    workspace: str,
    accounts: Collection[str],
    *,
    known_at: datetime | None = None,
) -> dict[str, tuple[Step, ...]]:
    """The steps of these accounts as they are believed now, or were at `known_at`."""
    found = await rows(
        tx,
        "SELECT account, step::text AS step FROM step WHERE workspace = :workspace"
        f" AND account = ANY(CAST(:accounts AS text[])) AND {_believed(known_at)}"
        " ORDER BY account, at",
        {"workspace": workspace, "accounts": sorted(accounts), "known_at": known_at},
    )
    steps: dict[str, list[Step]] = {account: [] for account in accounts}
    for account, step in found:
        steps[account].append(_decode(step))
    return {account: tuple(listed) for account, listed in steps.items()}


async def list_mixed(
    tx: Tx, workspace: str, *, segment: str | None = None
) -> list[tuple[Step, ...]]:
    """The steps of the counted accounts that ever had several currencies: they are few."""
    found = await rows(
        tx,
        "SELECT account FROM account WHERE workspace = :workspace AND counted"
        " AND cardinality(currencies) > 1"
        " AND (CAST(:segment AS text) IS NULL OR segment = :segment) ORDER BY account",
        {"workspace": workspace, "segment": segment},
    )
    timelines = await list_timelines(tx, workspace, [row.account for row in found])
    return list(timelines.values())


async def walk_timelines(
    tx: Tx,
    workspace: str,
    *,
    known_at: datetime | None = None,
    after: str = "",
) -> AsyncIterator[AccountSteps]:
    """All accounts that are counted, by id, with their steps; in chunks, so memory is bounded."""
    while True:
        found = await rows(
            tx,
            "SELECT account FROM account WHERE workspace = :workspace AND counted"
            " AND account > :after ORDER BY account LIMIT :limit",
            {"workspace": workspace, "after": after, "limit": ACCOUNTS_AT_ONCE},
        )
        names = [row.account for row in found]
        timelines = await list_timelines(tx, workspace, names, known_at=known_at)
        for account in names:
            if timelines[account]:
                yield AccountSteps(account, timelines[account])
        if len(names) < ACCOUNTS_AT_ONCE:
            return
        after = names[-1]


def _believed(known_at: datetime | None) -> str:
    if known_at is None:
        return "known_to IS NULL"
    return "known_from <= :known_at AND (known_to IS NULL OR known_to > :known_at)"
