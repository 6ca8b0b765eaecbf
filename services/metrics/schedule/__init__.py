"""What time itself causes in metrics: facts are in, movements come into force, months close."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.metrics.schedule.closing import close_due
from services.metrics.schedule.contracts import tell_of_contracts
from services.metrics.schedule.movements import publish_movements
from services.metrics.schedule.opportunities import tell_of_opportunities
from services.metrics.schedule.rates import tell_of_rates
from services.metrics.settings import MetricsSettings
from services.metrics.store.tide import get_known_until, save_known_until
from shared.bus.jobs import Job
from shared.bus.record import Partition
from shared.bus.tables import get_offsets
from shared.db import Tx
from shared.events.base import Caused

AGREEMENTS_SECONDS = 300.0  # dates change once a day, and what is told of them may come late


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

    async def close_months(now: datetime, tx: Tx) -> Sequence[Caused]:
        """Close the months whose time has come and of which every fact is in."""
        known_until = await get_known_until(tx)
        if known_until is None:
            return ()
        patience = timedelta(hours=settings.close_after_hours)
        return await close_due(tx, now=now, known_until=known_until, patience=patience)

    return (
        Job(name="look_at_tide", every_seconds=1.0, run=look_at_tide),
        Job(name="publish_movements", every_seconds=1.0, run=publish_movements),
        Job(name="tell_of_rates", every_seconds=1.0, run=tell_of_rates),
        Job(name="tell_of_contracts", every_seconds=AGREEMENTS_SECONDS, run=tell_of_contracts),
        Job(
            name="tell_of_opportunities",
            every_seconds=AGREEMENTS_SECONDS,
            run=tell_of_opportunities,
        ),
        Job(name="close_months", every_seconds=settings.close_every_seconds, run=close_months),
    )


def is_all_folded(standing: Mapping[Partition, int], folded: Mapping[Partition, int]) -> bool:
    """Whether every log is folded up to its end; one without records has nothing to fold."""
    return all(folded.get(place, 0) >= end for place, end in standing.items())
