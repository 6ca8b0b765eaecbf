"""What time itself causes in nps: waves open and close, people are invited and reminded."""

from collections.abc import Sequence
from datetime import datetime

from services.nps.model.classes import count_scores
from services.nps.model.statistics import score
from services.nps.settings import NpsSettings
from services.nps.store import inviting, opening
from services.nps.store.invitations import take_to_remind
from services.nps.store.inviting import Links, links_of
from services.nps.store.reports import get_scores
from services.nps.store.waves import (
    Wave,
    WaveState,
    list_due,
    list_to_walk_again,
    save_state,
    take_to_ask,
)
from shared.bus.jobs import Job
from shared.db import Tx
from shared.events.base import Caused
from shared.events.nps import WaveClosed

PEOPLE_A_RUN = 50_000  # decided about in one transaction, which the relay waits for
INVITED_A_RUN = 5_000
REMINDED_A_RUN = 1_000
WAVES_A_RUN = 20


def jobs(settings: NpsSettings) -> tuple[Job, ...]:
    """The jobs of nps."""

    async def links(tx: Tx, workspace: str) -> Links:
        return await links_of(
            tx, workspace, public_url=settings.public_url, kept_days=settings.link_days
        )

    async def ask_people(now: datetime, tx: Tx) -> Sequence[Caused]:
        """Ask cadence to invite who is to be asked, so many at a time."""
        caused: list[Caused] = []
        for wave, people in await take_to_ask(tx, now, limit=INVITED_A_RUN):
            of = await links(tx, wave.workspace)
            caused += await inviting.invite(tx, wave, people, of, now=now)
        return caused

    async def remind_people(now: datetime, tx: Tx) -> Sequence[Caused]:
        """Ask cadence to remind who has not answered, at most twice."""
        caused: list[Caused] = []
        for reminder in await take_to_remind(tx, now, limit=REMINDED_A_RUN):
            of = await links(tx, reminder.invitation.workspace)
            caused.append(
                inviting.requested(reminder.invitation, reminder.kind, of, kind="reminder", now=now)
            )
        return caused

    return (
        Job(name="open_waves", every_seconds=1.0, run=open_waves),
        Job(name="walk_again", every_seconds=60.0, run=walk_again),
        Job(name="ask_people", every_seconds=1.0, run=ask_people),
        Job(name="remind_people", every_seconds=10.0, run=remind_people),
        Job(name="close_waves", every_seconds=1.0, run=close_waves),
    )


async def open_waves(now: datetime, tx: Tx) -> Sequence[Caused]:
    """Decide about the people of waves whose time has come, as of that time."""
    caused: list[Caused] = []
    left = PEOPLE_A_RUN
    for state in (WaveState.OPENING, WaveState.PLANNED):
        for wave in await list_due(tx, state, now, limit=1):
            if state is WaveState.PLANNED:
                await save_state(tx, wave, WaveState.OPENING, at=now)
            _, told = await opening.walk(tx, wave, at=now, most=left)
            caused += told
    return caused


async def walk_again(now: datetime, tx: Tx) -> Sequence[Caused]:
    """Let people join continuous waves who have become eligible."""
    caused: list[Caused] = []
    for wave in await list_to_walk_again(tx, now, limit=1):
        _, told = await opening.walk(tx, wave, at=now, most=PEOPLE_A_RUN)
        caused += told
    return caused


async def close_waves(now: datetime, tx: Tx) -> Sequence[Caused]:
    """Close waves whose end has come, and tell what they came to."""
    caused: list[Caused] = []
    for wave in await list_due(tx, WaveState.OPEN, now, limit=WAVES_A_RUN):
        await save_state(tx, wave, WaveState.CLOSED, at=now)
        caused.append(await _closed(tx, wave, now))
    return caused


async def _closed(tx: Tx, wave: Wave, now: datetime) -> Caused:
    scores = await get_scores(tx, wave.workspace, kind=wave.kind, wave=wave.wave)
    counts = count_scores(scores) if wave.kind == "nps" else None
    event = WaveClosed(
        wave=wave.wave,
        kind=wave.kind,
        population=sum(wave.population.values()),
        counts=None
        if counts is None
        else {
            "promoter": counts.promoter,
            "passive": counts.passive,
            "detractor": counts.detractor,
        },
        nps=None if counts is None else score(counts),
    )
    return Caused(
        event=event,
        workspace=wave.workspace,
        cause_id=f"{wave.workspace} wave {wave.wave}",
        time=now,
    )
