"""Opening a wave: a decision about each person, so many at a time, then it is told as open."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from services.nps.model import eligibility
from services.nps.model.eligibility import Decision, Rules
from services.nps.model.zones import zone_or_default
from services.nps.store.waves import (
    Candidate,
    Decided,
    Wave,
    WaveForm,
    WaveState,
    list_candidates,
    save_decisions,
    save_population,
    save_state,
    save_walked_to,
)
from shared.db import Tx
from shared.events.base import Caused
from shared.events.nps import WaveOpened

PEOPLE_AT_ONCE = 5_000
NOT_SAMPLED = "not_sampled"
WALK_EVERY = timedelta(hours=1)  # a continuous wave looks for people who have become eligible
HASHES = 2**32
REASONS = {
    Decision.ASK: "may be asked",
    Decision.OPTED_OUT: "does not want to be written to",
    Decision.CHURNED: "has left, or the account has",
    Decision.TOO_YOUNG: "signed up too recently",
    Decision.QUARANTINE: "was asked recently",
}


async def walk(tx: Tx, wave: Wave, *, at: datetime, most: int) -> tuple[bool, list[Caused]]:
    """Decide about the next people of a wave, `most` at most: whether all are, and what to tell.

    `at`: the instant that the decisions are for; the wave is locked by whoever calls.
    """
    after, left = wave.walked_to, most
    while left > 0:
        found = await list_candidates(tx, wave, after=after, limit=min(left, PEOPLE_AT_ONCE))
        await save_decisions(tx, wave, list(decisions(wave, found, at)), decided_at=at)
        if len(found) < min(left, PEOPLE_AT_ONCE):
            return True, await _opened(tx, wave, at)
        after = found[-1].user
        left -= len(found)
    await save_walked_to(tx, wave, after)
    return False, []


def decisions(wave: Wave, people: Sequence[Candidate], at: datetime) -> Iterator[Decided]:
    """The decision about each person, with the reason in words."""
    rules = Rules(first_after_days=wave.first_after_days, quarantine_days=wave.quarantine_days)
    for person in people:
        if person.is_left_out:
            continue
        known = eligibility.Candidate(
            signed_up_at=person.signed_up_at,
            zone=zone_or_default(person.zone),
            opted_out=person.opted_out,
            gone_at=person.gone_at,
            last_invited_at=person.last_asked_at,
        )
        decision = eligibility.decide(known, rules, at)
        if decision is Decision.ASK and not is_sampled(wave, person.user):
            yield Decided(person.user, person.account, NOT_SAMPLED, "not drawn")
        else:
            yield Decided(person.user, person.account, decision.value, REASONS[decision])


def is_sampled(wave: Wave, user: str) -> bool:
    """Whether a person is drawn: by hash, so that a repeated walk draws the same people."""
    drawn = sha256(f"{wave.workspace} {wave.wave} {user}".encode()).digest()
    return int.from_bytes(drawn[:4]) < wave.sample_share * HASHES


async def _opened(tx: Tx, wave: Wave, at: datetime) -> list[Caused]:
    population = await save_population(tx, wave)
    again = at + WALK_EVERY if wave.form is WaveForm.CONTINUOUS else None
    await save_walked_to(tx, wave, "")
    await save_state(tx, wave, WaveState.OPEN, at=at, walk_again_at=again)
    if wave.state is WaveState.OPEN:
        return []
    event = WaveOpened(
        wave=wave.wave, kind=wave.kind, population=sum(population.values()), counts=population
    )
    return [
        Caused(
            event=event,
            workspace=wave.workspace,
            cause_id=f"{wave.workspace} wave {wave.wave}",
            time=at,
        )
    ]
