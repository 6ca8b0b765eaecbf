"""Plans people's next days: what is new is added, what changed is moved, what fell away goes back.

Messages are made a short way ahead, by a pure function of what is known, so that a plan made twice
changes nothing. Only what nobody has begun is ever touched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.cadence.model.anchor import Anchor
from services.cadence.model.announcing import told_of_person
from services.cadence.model.planning import Known, MessageRow, Moved, Plan, planned
from services.cadence.store import decisions, journeys, planning
from services.cadence.store.known import list_known
from shared.bus.jobs import Job
from shared.db import Tx
from shared.events.base import Caused
from shared.events.cadence import AnchorSet, DueMoved
from shared.events.told import PersonId
from shared.zones import Tzdata, packaged

AT_ONCE = 1_000
CHANGED_AT_ONCE = 10_000
EVERY_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Plans whoever is due. `tzdata`: the IANA database, asked for at each turn; `words`: what
    templates may say where a workspace says nothing else.
    """

    tzdata: Callable[[], Tzdata] = packaged
    words: Mapping[str, Any] = field(default_factory=dict)
    at_once: int = AT_ONCE

    @property
    def job(self) -> Job:
        """The job that plans."""
        return Job(name="plan_messages", every_seconds=EVERY_SECONDS, run=self.turn)

    async def turn(self, now: datetime, tx: Tx) -> Sequence[Caused]:
        """Plan those who are due, the longest waiting first."""
        database = self.tzdata()
        await planning.ask_where_tzdata_changed(
            tx, version=database.version, now=now, limit=CHANGED_AT_ONCE
        )
        persons = await planning.claim_due(tx, now=now, limit=self.at_once)
        if not persons:
            return ()
        known = await list_known(tx, persons, now=now, words=self.words)
        offered = await journeys.list_offered(tx, {person.workspace for person in persons})
        plans = {
            person: planned(each, offered[person.workspace], now=now, database=database)
            for person, each in known.items()
        }
        return await _saved(tx, known, plans, now=now, database=database)


async def _saved(
    tx: Tx,
    known: Mapping[PersonId, Known],
    plans: Mapping[PersonId, Plan],
    *,
    now: datetime,
    database: Tzdata,
) -> Sequence[Caused]:
    """Write the plans down; what is to be told of them."""
    await journeys.save_journeys(
        tx, [(person, each) for person, plan in plans.items() for each in plan.journeys], now=now
    )
    listed = list(plans.values())
    await planning.take_back(tx, [row.key for plan in listed for row in plan.taken_back])
    moved = [each for plan in listed for each in plan.moved]
    changed = await planning.move_messages(tx, moved)
    added = [row for plan in listed for row in plan.added]
    new = await planning.add_messages(tx, added)
    unchanged = {row.key for row in added} - new
    decided = [
        each
        for plan in listed
        for each in plan.decided
        if (each.person.workspace, each.identity) not in unchanged
    ]
    await decisions.append_decisions(tx, decided, now=now, tzdata=database.version)
    anchors = {
        person: (plan.anchor, facts.signed_up_at)
        for person, plan in plans.items()
        if plan.anchor is not None and (facts := known[person].facts) is not None
    }
    numbers = await journeys.save_anchors(tx, anchors, tzdata=database.version)
    await planning.save_planned(
        tx, {person: plan.plan_at for person, plan in plans.items()}, version=database.version
    )
    return [
        *(
            _anchor_set(known[person], anchor, signed_up_at, numbers[person], now)
            for person, (anchor, signed_up_at) in anchors.items()
        ),
        *(_due_moved(each, now) for each in moved if each.why and each.message.key in changed),
    ]


def _anchor_set(
    known: Known, anchor: Anchor, signed_up_at: datetime, number: int, now: datetime
) -> Caused:
    return told_of_person(
        AnchorSet(
            user=known.person.user,
            weekday=anchor.weekday.value,
            local_time=f"{anchor.local_time:%H:%M}",
            zone=anchor.zone,
            zone_source=anchor.zone_source.value,
            signed_up_at=signed_up_at,
        ),
        workspace=known.person.workspace,
        account=known.account,
        user=known.person.user,
        cause_id=f"{known.person.workspace} {known.person.user}",
        key=str(number),
        at=now,
    )


def _due_moved(moved: Moved, now: datetime) -> Caused:
    message = moved.message
    return told_of_person(
        DueMoved(
            **_said(message), from_=moved.before.due_at, to=message.due_at, why=moved.why or ""
        ),
        workspace=message.person.workspace,
        account=message.account,
        user=message.person.user,
        cause_id=f"{message.person.workspace} {message.identity}",
        # A message may move back to where it was, and that is news again.
        key=f"{moved.before.due_at.isoformat()} {message.due_at.isoformat()} {now.isoformat()}",
        at=now,
    )


def _said(message: MessageRow) -> dict[str, Any]:
    return {
        "message": message.identity,
        "user": message.person.user,
        "program": message.program,
        "step": message.step,
        "template": message.template,
        "variant": message.variant,
        "channel": message.channels[0],
        "pillar": message.pillar,
        "purpose": message.purpose.value,
    }
