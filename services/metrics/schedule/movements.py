"""Movements that were scheduled: published when they come into force."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from services.metrics.model.movements import jumps_of
from services.metrics.model.publication import Voice, recorded
from services.metrics.store import reports, steps
from services.metrics.store.scheduled import Scheduled, delete_scheduled, load_due
from shared.db import Tx
from shared.events.base import Caused

DUE_AT_ONCE = 500  # movements published in one transaction; the rest a second later


async def publish_movements(now: datetime, tx: Tx) -> Sequence[Caused]:
    """Job: publish the movements that were scheduled and are in force now."""
    due = await load_due(tx, now=now, limit=DUE_AT_ONCE)
    by_workspace: defaultdict[str, list[Scheduled]] = defaultdict(list)
    for movement in due:
        by_workspace[movement.workspace].append(movement)
    caused = [
        event
        for workspace, movements in by_workspace.items()
        for event in await _recorded(tx, workspace, movements)
    ]
    await delete_scheduled(tx, due)
    return caused


async def _recorded(tx: Tx, workspace: str, movements: Collection[Scheduled]) -> Sequence[Caused]:
    view = await reports.get_view(tx, workspace)
    timelines = await steps.list_timelines(tx, workspace, {m.account for m in movements})
    caused: list[Caused] = []
    for movement in movements:
        voice = Voice(
            workspace=workspace,
            account=movement.account,
            rates=view.rates,
            zone=view.zone,
            cause_id=f"{workspace} {movement.account} {movement.at.isoformat()}",
        )
        for jump in jumps_of(timelines[movement.account]):
            if jump.at == movement.at:
                caused += recorded(voice, jump)
    return caused
