"""What time itself causes in metrics: movements come into force, facts are known to be in."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.metrics.model.movements import jumps_of
from services.metrics.model.publication import Voice, recorded
from services.metrics.settings import MetricsSettings
from services.metrics.store import reports, steps
from services.metrics.store.scheduled import Scheduled, delete_scheduled, load_due
from services.metrics.store.tide import save_known_until
from shared.bus.jobs import Job
from shared.bus.record import Partition
from shared.bus.tables import get_offsets
from shared.db import Tx
from shared.events.base import Caused

DUE_AT_ONCE = 500  # movements published in one transaction; the rest a second later


class Ends(Protocol):
    """Where the logs end."""

    async def get(self) -> Mapping[Partition, int]: ...


def jobs(settings: MetricsSettings, *, group: str, ends: Ends) -> tuple[Job, ...]:
    """The jobs of metrics. `group`: whose offsets say what is folded, of the logs of `ends`."""

    async def look_at_tide(now: datetime, tx: Tx) -> Sequence[Caused]:
        """Note `now` if all that stood in the logs then is folded."""
        standing = await ends.get()  # asked after `now`: what was appended before stands in it
        folded = await get_offsets(tx, group, standing.keys())
        if is_all_folded(standing, folded):
            await save_known_until(tx, now - timedelta(seconds=settings.clock_skew_seconds))
        return ()

    return (
        Job(name="look_at_tide", every_seconds=1.0, run=look_at_tide),
        Job(name="publish_movements", every_seconds=1.0, run=publish_movements),
    )


def is_all_folded(standing: Mapping[Partition, int], folded: Mapping[Partition, int]) -> bool:
    """Whether every log is folded up to its end; one without records has nothing to fold."""
    return all(folded.get(place, 0) >= end for place, end in standing.items())


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
