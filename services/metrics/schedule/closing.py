"""Closing months: from their end on, and a while, their figures are told once and for all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from services.metrics.model import POLICY_VERSION
from services.metrics.model.calendar import Month, month_at
from services.metrics.model.closing import exact_figures, month_digest
from services.metrics.model.months import MonthReport
from services.metrics.store import closing, reports
from services.metrics.store.closing import ClosedMonth, LastClosed
from services.metrics.store.ledger import load_ledger
from services.metrics.store.reports import View
from services.metrics.store.settings import list_workspaces
from shared import telemetry
from shared.db import Tx
from shared.events.base import Caused
from shared.events.metrics import MonthClosed

log = structlog.get_logger()

WORKSPACES_AT_ONCE = 100
MONTHS_AT_ONCE = 36  # closed in one transaction of one workspace; the rest at the next run
BREACHES_SHOWN = 20


async def close_due(
    tx: Tx, *, now: datetime, known_until: datetime, patience: timedelta
) -> Sequence[Caused]:
    """Close, in each workspace, the months that ended so long ago that late facts are exceptions.

    Their figures are by what was recorded up to `known_until`, so that they can be had again. One
    workspace at a time: nothing can be booked in it meanwhile.
    """
    after = ""
    while workspaces := await list_workspaces(tx, after=after, limit=WORKSPACES_AT_ONCE):
        for workspace in workspaces:
            if caused := await _close_in(tx, workspace, now, known_until, patience):
                return caused
        after = workspaces[-1]
    return ()


async def _close_in(
    tx: Tx, workspace: str, now: datetime, known_until: datetime, patience: timedelta
) -> Sequence[Caused]:
    zone = (await reports.get_view(tx, workspace)).zone
    last = month_at(min(now, known_until) - patience, zone).previous
    before = await closing.get_last_closed(tx, workspace)
    first = await _first(tx, workspace, before, zone)
    if first is None or first > last:
        return ()
    last = min(last, first.plus(MONTHS_AT_ONCE - 1))
    await load_ledger(tx, workspace)
    view = await reports.get_view(tx, workspace, known_at=known_until)
    audited = await closing.audit(tx, view, first, last)
    kept = await closing.audit(tx, replace(view, known_at=None), first, last)
    broken = [*audited.broken, *kept.broken]
    telemetry.LEDGER_BROKEN.labels(workspace).set(len(broken))
    if broken:
        for breach in broken[:BREACHES_SHOWN]:
            log.critical("invariant_broken", workspace=workspace, breach=str(breach))
        return ()
    return await _close(tx, view, audited.reports, before.digest, now=now)


async def _first(tx: Tx, workspace: str, before: LastClosed, zone: str) -> Month | None:
    """The first month to close: behind the last closed one, else the first with a movement."""
    if before.month is not None:
        return before.month.next
    months = await closing.get_months(tx, workspace, zone)
    return None if months is None else months.first


async def _close(
    tx: Tx,
    view: View,
    months: Mapping[Month, MonthReport],
    previous: str,
    *,
    now: datetime,
) -> list[Caused]:
    """Keep the months, each bound to the one before by its digest, and tell of them."""
    assert view.known_at is not None
    caused: list[Caused] = []
    for month, report in sorted(months.items()):
        digest = month_digest(
            month,
            report,
            currency=view.currency,
            policy_version=POLICY_VERSION,
            previous=previous,
        )
        figures = exact_figures(report)
        closed = ClosedMonth(month, now, view.known_at, POLICY_VERSION, figures, previous, digest)
        await closing.append_closed(tx, view.workspace, closed)
        telemetry.LEDGER_CLOSED.inc()
        told = MonthClosed(
            month=str(month),
            digest=digest,
            previous_digest=previous,
            policy_version=POLICY_VERSION,
        )
        caused.append(
            Caused(
                event=told,
                workspace=view.workspace,
                cause_id=f"{view.workspace} {month} {digest}",
                time=now,
            )
        )
        previous = digest
    return caused
