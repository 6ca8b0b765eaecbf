"""Opportunities to grow accounts: told when signals first speak for one, and when none does."""

from collections.abc import Sequence
from datetime import datetime

from services.metrics.schedule.closing import WORKSPACES_AT_ONCE
from services.metrics.store.opportunities import (
    Lead,
    append_told,
    delete_told,
    list_leads,
    list_told,
)
from services.metrics.store.settings import list_workspaces
from shared.db import Tx
from shared.events.base import Caused
from shared.events.metrics import OpportunityClosed, OpportunityEvent, OpportunityOpened


async def tell_of_opportunities(now: datetime, tx: Tx) -> Sequence[Caused]:
    """Job: publish the opportunities that opened and closed since the last look."""
    caused: list[Caused] = []
    after = ""
    while workspaces := await list_workspaces(tx, after=after, limit=WORKSPACES_AT_ONCE):
        for workspace in workspaces:
            caused += await _tell_in(tx, workspace, now)
        after = workspaces[-1]
    return caused


async def _tell_in(tx: Tx, workspace: str, now: datetime) -> list[Caused]:
    open_now = {lead.name: lead async for lead in list_leads(tx, workspace)}
    told = await list_told(tx, workspace)
    opened = [open_now[name] for name in sorted(open_now.keys() - told.keys())]
    closed = [told[name] for name in sorted(told.keys() - open_now.keys())]
    await append_told(tx, workspace, opened)
    await delete_told(tx, workspace, [lead.name for lead in closed])
    return [
        *[_caused(workspace, lead, OpportunityOpened, now) for lead in opened],
        *[_caused(workspace, lead, OpportunityClosed, now) for lead in closed],
    ]


def _caused(workspace: str, lead: Lead, kind: type[OpportunityEvent], now: datetime) -> Caused:
    of = lead.opportunity
    event = kind(
        opportunity=lead.name,
        kind=of.kind.value,
        signal=of.signal,
        value=of.value,
        blocked_by=of.blocked_by,
    )
    return Caused(
        event=event,
        workspace=workspace,
        subject=of.account,
        cause_id=f"{workspace} {lead.name} {now.isoformat()}",
        time=now,
    )
