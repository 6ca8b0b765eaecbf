"""Who opened and clicked: decided a moment after, and told once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.cadence.model.announcing import said_of, told_of_person
from services.cadence.model.hits import HitKind, HitPolicy, Verdict, classify
from services.cadence.model.message import Message
from services.cadence.store import hits, messages
from services.cadence.store.hits import Hits, StoredHit
from shared import telemetry
from shared.bus.jobs import Job
from shared.db import Tx
from shared.events.base import Caused
from shared.events.cadence import Clicked, Opened

AT_ONCE = 500
EVERY_SECONDS = 2.0


def tracking_job(*, settle: timedelta, policy: HitPolicy) -> Job:
    """The job that gives hits their class, `settle` after they came."""

    async def class_hits(now: datetime, tx: Tx) -> Sequence[Caused]:
        undecided = await hits.load_undecided(tx, before=now - settle, limit=AT_ONCE)
        known = await messages.list_messages(tx, list(undecided))
        verdicts: dict[int, Verdict] = {}
        caused: list[Caused] = []
        for key, of_message in undecided.items():
            decided = _verdicts(of_message, policy)
            for stored, verdict in decided.items():
                telemetry.HITS_CLASSED.labels(stored.hit.kind.value, verdict.class_.value).inc()
            verdicts |= {stored.number: verdict for stored, verdict in decided.items()}
            caused += _told(known[key], decided)
        await hits.save_verdicts(tx, verdicts)
        return caused

    return Job(name="class_hits", every_seconds=EVERY_SECONDS, run=class_hits)


def _verdicts(of_message: Hits, policy: HitPolicy) -> Mapping[StoredHit, Verdict]:
    return {
        stored: classify(
            stored.hit, of_message.among, accepted_at=of_message.accepted_at, policy=policy
        )
        for stored in of_message.undecided
    }


def _told(message: Message, decided: Mapping[StoredHit, Verdict]) -> Sequence[Caused]:
    """The events of these hits; falling into the trap is told of by the class of the others."""
    return [
        told_of_person(
            _event(message, stored, verdict),
            workspace=message.workspace,
            account=message.account,
            user=message.user,
            cause_id=f"{message.workspace} {message.identity}",
            key=f"hit {stored.number}",
            at=stored.hit.at,
        )
        for stored, verdict in decided.items()
        if stored.hit.kind is not HitKind.TRAP
    ]


def _event(message: Message, stored: StoredHit, verdict: Verdict) -> Opened | Clicked:
    said = said_of(message)
    if stored.hit.kind is HitKind.OPEN:
        return Opened(**said, at=stored.hit.at, class_=verdict.class_.value, rule=verdict.rule)
    return Clicked(
        **said,
        at=stored.hit.at,
        class_=verdict.class_.value,
        rule=verdict.rule,
        link=stored.hit.link,
    )
