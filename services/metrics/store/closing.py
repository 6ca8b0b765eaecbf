"""Closed months: what was told of them then, bound by digests, and whether the books hold."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple

import msgspec
from sqlalchemy import text

from services.metrics.model.calendar import Month, ends_at, month_at, starts_at
from services.metrics.model.closing import FIRST
from services.metrics.model.invariants import (
    Broken,
    broken_account,
    broken_months,
    broken_retention,
)
from services.metrics.model.months import MonthReport, month_report
from services.metrics.model.tally import EMPTY, tallies_of
from services.metrics.model.timeline import Timeline, amounts_before, currencies_of
from services.metrics.model.windows import Ends, window_of
from services.metrics.store import reports, rollups
from services.metrics.store.reports import Tallies, View
from services.metrics.store.rollups import first_day, month_of
from services.metrics.store.settings import list_workspaces
from shared.db import Tx, rows
from shared.errors import MainstayError


class ClosedMonth(NamedTuple):
    """A month as it was closed. `known_at`: by what was known then its figures are."""

    month: Month
    closed_at: datetime
    known_at: datetime
    policy_version: int
    report: Mapping[str, object]
    previous_digest: str
    digest: str


class LastClosed(NamedTuple):
    """The newest closed month of a workspace; `month` is None before the first."""

    month: Month | None
    digest: str


async def get_last_closed(tx: Tx, workspace: str) -> LastClosed:
    """The newest closed month, with the digest that the next one follows."""
    found = await rows(
        tx,
        "SELECT month, digest FROM closed_month WHERE workspace = :workspace"
        " ORDER BY month DESC LIMIT 1",
        {"workspace": workspace},
    )
    if not found:
        return LastClosed(None, FIRST)
    return LastClosed(month_of(found[0].month), found[0].digest)


class Months(NamedTuple):
    """From the month of the first step that is believed to the month of the last."""

    first: Month
    last: Month


async def get_months(tx: Tx, workspace: str, zone: str) -> Months | None:
    """The months of all steps of any account; None without any."""
    (found,) = await rows(
        tx,
        "SELECT min(at) AS first, max(at) AS last FROM step"
        " WHERE workspace = :workspace AND known_to IS NULL",
        {"workspace": workspace},
    )
    if found.first is None:
        return None
    return Months(month_at(found.first, zone), month_at(found.last, zone))


async def append_closed(tx: Tx, workspace: str, closed: ClosedMonth) -> None:
    """Keep a month as it is closed."""
    await tx.execute(
        text(
            "INSERT INTO closed_month (workspace, month, closed_at, known_at, policy_version,"
            " report, previous_digest, digest) VALUES (:workspace, :month, :closed_at, :known_at,"
            " :policy_version, CAST(:report AS json), :previous_digest, :digest)"
        ),
        {
            **closed._asdict(),
            "workspace": workspace,
            "month": first_day(closed.month),
            "report": msgspec.json.encode(closed.report).decode(),
        },
    )


async def list_closed(
    tx: Tx, workspace: str, *, after: Month | None, limit: int
) -> list[ClosedMonth]:
    """Closed months behind `after`, the oldest first."""
    found = await rows(
        tx,
        "SELECT month, closed_at, known_at, policy_version, report::text AS report,"
        " previous_digest, digest FROM closed_month WHERE workspace = :workspace"
        " AND (CAST(:after AS date) IS NULL OR month > :after) ORDER BY month LIMIT :limit",
        {
            "workspace": workspace,
            "after": None if after is None else first_day(after),
            "limit": limit,
        },
    )
    return [
        ClosedMonth(
            month_of(row.month),
            row.closed_at,
            row.known_at,
            row.policy_version,
            msgspec.json.decode(row.report),
            row.previous_digest,
            row.digest,
        )
        for row in found
    ]


# --- the books looked at as a whole --------------------------------------------------------------


WORKSPACES_AT_ONCE = 100


class Audited(NamedTuple):
    """The months of a span from the accounts themselves, and what does not hold of the books."""

    reports: Mapping[Month, MonthReport]
    broken: list[Broken]


async def audit(tx: Tx, view: View, first: Month, last: Month) -> Audited:
    """Every account from `first` to `last`: do its movements add up, do the sums, do the rollups?

    Who calls holds the ledger, so that nothing is written meanwhile.
    """
    tallies: Tallies = {}
    mixed: list[Timeline] = []
    ends: dict[Month, list[Ends]] = {first.plus(n): [] for n in range(last.since(first) + 1)}
    broken: list[Broken] = []
    async for account, timeline in reports.walk(tx, view):
        broken += broken_account(account, timeline, view.rates, view.zone, last)
        for month, listed in ends.items():
            listed.append(_ends(timeline, month, view.zone))
        _add(tallies, mixed, timeline, view.zone)
    sums = reports.months_of(tallies, mixed, view, first, last)
    found = {
        month: month_report(sums[month], margin=view.margin, spend=view.spend.get(month))
        for month in sorted(sums)
    }
    broken += broken_months(found)
    for month, report in found.items():
        window = window_of(ends[month], view.rates, month)
        broken += broken_retention(month, report, window)
    if view.known_at is None:
        kept = await rollups.list_tallies(tx, view.workspace, rollups.ALL, through=last)
        broken += _broken_rollups(kept, tallies, last)
    return Audited(found, broken)


class BooksBroken(MainstayError):
    """Something does not hold of the books that always has to."""

    code: ClassVar[str] = "books_broken"


async def audit_all(tx: Tx) -> None:
    """Look at the books of every workspace, over all their months. Raises BooksBroken."""
    after = ""
    while workspaces := await list_workspaces(tx, after=after, limit=WORKSPACES_AT_ONCE):
        for workspace in workspaces:
            view = await reports.get_view(tx, workspace)
            months = await get_months(tx, workspace, view.zone)
            if months is None:
                continue
            broken = (await audit(tx, view, *months)).broken
            if broken:
                raise BooksBroken(f"workspace {workspace}: {len(broken)} breaches, {broken[0]}")
        after = workspaces[-1]


def _ends(timeline: Timeline, month: Month, zone: str) -> Ends:
    return Ends(
        amounts_before(timeline, starts_at(month, zone)),
        amounts_before(timeline, ends_at(month, zone)),
    )


def _add(tallies: Tallies, mixed: list[Timeline], timeline: Timeline, zone: str) -> None:
    currencies = currencies_of(timeline)
    if len(currencies) > 1:
        mixed.append(timeline)
        return
    for currency in currencies:
        for month, tally in tallies_of(timeline, currency, zone).items():
            key = month, currency
            tallies[key] = tallies.get(key, EMPTY).plus(tally)


def _broken_rollups(kept: Tallies, summed: Tallies, last: Month) -> list[Broken]:
    """Whether the kept sums are those of the accounts."""
    keys = sorted({*kept, *(key for key in summed if key[0] <= last)})
    return [
        Broken(
            "a kept sum is the sum of its accounts",
            f"{month} {currency}",
            kept.get((month, currency), EMPTY).change,
            summed.get((month, currency), EMPTY).change,
        )
        for month, currency in keys
        if kept.get((month, currency), EMPTY) != summed.get((month, currency), EMPTY)
    ]
