"""What is to be sent to a person in the next days, beside what is planned already.

A pure function of what is known. Asked again it answers the same, so that a replay, or a plan made
twice, changes nothing: every message has its identity, and every entry into a program is decided
once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from services.cadence.model import RULE_VERSION
from services.cadence.model.anchor import Anchor, regime_at, regimes
from services.cadence.model.caps import Caps, Purpose
from services.cadence.model.defaults import SIGNED_UP
from services.cadence.model.delivery import State
from services.cadence.model.journeys import Journey, Message, Sent, key_of, upcoming
from services.cadence.model.occasions import Occasion
from services.cadence.model.occurrences import Facts, Policy, plan
from services.cadence.model.programs import (
    FactValues,
    Program,
    Rhythm,
    enters,
    leaves,
    next_step,
)
from services.cadence.model.quiet import after_quiet
from services.cadence.model.spans import Span
from services.cadence.model.zones import ZoneChain, zone_of
from shared.events.nps import InvitationRequested
from shared.events.told import PersonId
from shared.zones import Tzdata

AHEAD = timedelta(days=8)
AGAIN = timedelta(days=1)  # everybody is planned at least so often: the horizon moves on
SETTLED = timedelta(minutes=1)  # after a message is due, it is looked what became of it
SOONEST = timedelta(minutes=10)
STALE = timedelta(days=30)  # what happened longer ago brings nobody into a program any more
DONE = frozenset({State.HANDED_OVER, State.ACCEPTED, State.REJECTED, State.UNCERTAIN})
SURVEYS = "nps"
INVITED = InvitationRequested.type
USED_ANNOUNCED = "used:announced"


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A program that a workspace has. `live_since`: what happened before it enters nobody; None:
    it was always there.
    """

    program: Program
    live_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Entered:
    """A person in a program, as it was decided. `about` is empty where it is entered once."""

    program: str
    about: str
    version: int
    entered_at: datetime
    names_on: date | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    account: str | None = None
    state: str = "going"
    reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by, for one person."""
        return self.program, self.about


@dataclass(frozen=True, kw_only=True)
class MessageRow:
    """A message as it is planned: all that stands in its row before it is begun."""

    person: PersonId
    identity: str
    account: str | None
    program: str
    program_version: int
    step: str
    template: str
    variant: str | None
    channels: Sequence[str]
    pillar: str
    purpose: Purpose
    topic: str
    nominal_at: datetime
    due_at: datetime
    deadline: datetime | None
    grace: timedelta
    zone: str
    zone_source: str
    tzdata: str
    facts: Mapping[str, Any]
    rule_version: int = RULE_VERSION

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.person.workspace, self.identity


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A message that is there already: what it says, and how far it came."""

    row: MessageRow
    state: State
    attempt: int = 0

    @property
    def is_begun(self) -> bool:
        """Whether somebody has taken it up: nothing of it is changed any more."""
        return self.state is not State.PLANNED or self.attempt > 0


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A message that says something else now, or is due at another instant."""

    message: MessageRow
    before: MessageRow

    @property
    def why(self) -> str | None:
        """Why it is due at another instant; None: it is not."""
        if self.message.due_at == self.before.due_at:
            return None
        if self.message.zone != self.before.zone:
            return "zone"
        if self.message.nominal_at == self.before.nominal_at:
            return "quiet"
        return "tzdata" if self.message.tzdata != self.before.tzdata else "sign_up"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Why a message goes or does not: the rules that were consulted, in order."""

    person: PersonId
    identity: str
    due_at: datetime | None
    outcome: str
    reason: str | None = None
    winner: str | None = None
    rules: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The numbers of a workspace, and what its templates may say beside the person."""

    policy: Policy = field(default_factory=Policy)
    caps: Caps = field(default_factory=Caps)
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Known:
    """All that is known of a person. `facts` None: nobody signed up."""

    person: PersonId
    account: str | None
    facts: Facts | None
    zones: ZoneChain
    values: FactValues
    occasions: Sequence[Occasion] = ()
    journeys: Sequence[Entered] = ()
    messages: Sequence[Standing] = ()
    preferred: Sequence[str] = ()
    anchor: Anchor | None = None
    numbers: Numbers = Numbers()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What changes for a person."""

    journeys: Sequence[Entered]
    added: Sequence[MessageRow]
    moved: Sequence[Moved]
    taken_back: Sequence[MessageRow]
    decided: Sequence[Decided]
    anchor: Anchor | None
    plan_at: datetime


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is to go to a person, and what would be due and does not go, with its reason."""

    messages: Sequence[MessageRow]
    skipped: Sequence[Decided]
    anchor: Anchor | None


def forecast(
    known: Known,
    offered: Sequence[Offered],
    *,
    now: datetime,
    database: Tzdata,
    ahead: timedelta,
) -> Forecast:
    """The messages of the time ahead, as if nothing else became known: what planning would plan.

    Caps are not looked at: who gives way to whom is decided when a message goes.
    """
    wanted = _wanted(known, offered, _Ahead(known, _by_id(offered), now, database, ahead))
    begun = {each.row.identity for each in known.messages if each.is_begun}
    rows = [row for identity, row in wanted.rows.items() if identity not in begun]
    return Forecast(
        messages=sorted(rows, key=lambda row: (row.due_at, row.identity)),
        skipped=wanted.decided,
        anchor=_anchor(known, now, database),
    )


def planned(known: Known, offered: Sequence[Offered], *, now: datetime, database: Tzdata) -> Plan:
    """What is to change so that the next days of the person are planned as of `now`."""
    ahead = _Ahead(known, _by_id(offered), now, database)
    found = _wanted(known, offered, ahead)
    wanted = found.rows
    standing = {each.row.identity: each for each in known.messages}
    added = [row for identity, row in wanted.items() if identity not in standing]
    moved = [
        Moved(message=row, before=standing[identity].row)
        for identity, row in wanted.items()
        if identity in standing
        and not standing[identity].is_begun
        and row != standing[identity].row
    ]
    taken_back = [
        each.row
        for identity, each in standing.items()
        if identity not in wanted and not each.is_begun and each.row.due_at >= ahead.begins
    ]
    anchor = _anchor(known, now, database)
    return Plan(
        journeys=found.journeys,
        added=added,
        moved=moved,
        taken_back=taken_back,
        decided=[
            *found.decided,
            *(_went(row, "planned") for row in added),
            *(_went(each.message, "moved", each.why) for each in moved if each.why),
            *(_went(row, "taken_back") for row in taken_back),
        ],
        anchor=None if anchor == known.anchor else anchor,
        plan_at=_again(wanted, now),
    )


def _by_id(offered: Sequence[Offered]) -> Mapping[str, Program]:
    return {each.program.id: each.program for each in offered}


class _Wanted(NamedTuple):
    """All that is to go, by identity, what does not, and the journeys that changed."""

    rows: Mapping[str, MessageRow]
    decided: Sequence[Decided]
    journeys: Sequence[Entered]


def _wanted(known: Known, offered: Sequence[Offered], ahead: "_Ahead") -> _Wanted:
    entered = list(_entered(known, offered, ahead.now))
    journeys = {journey.key: journey for journey in (*known.journeys, *entered)}
    changed = {journey.key: journey for journey in entered}
    rows: dict[str, MessageRow] = {}
    decided: list[Decided] = []
    for journey in journeys.values():
        if journey.state != "going":
            continue
        found = ahead.of(journey)
        rows |= {row.identity: row for row in found.rows}
        decided += found.decided
        if found.journey != journey or journey.key in changed:
            changed[journey.key] = found.journey
    rows |= {row.identity: row for row in ahead.invitations()}
    return _Wanted(rows, decided, list(changed.values()))


# --- entries -------------------------------------------------------------------------------------


def _entered(known: Known, offered: Sequence[Offered], now: datetime) -> Iterator[Entered]:
    """Entries that are not decided yet, into a program or refused; and those that moved."""
    before = {journey.key: journey for journey in known.journeys}
    for each in offered:
        for occasion in _occasions(each, known, now):
            program = each.program
            about = occasion.about if program.repeats else ""
            decided = before.get((program.id, about))
            if decided is None:
                values = {**known.values, **_of_occasion(known.values, occasion.facts)}
                into = enters(program, occasion.event, values, entered_before=False)
                stale = occasion.event != SIGNED_UP and now - occasion.at > STALE
                entry = Entered(
                    program=program.id,
                    about=about,
                    version=program.version,
                    entered_at=occasion.at,
                    names_on=occasion.names_on,
                    facts=occasion.facts,
                    account=known.account,
                    state="going" if into and not stale else "refused",
                    reason=None if into and not stale else ("stale" if into else "condition"),
                )
                before[entry.key] = entry
                yield entry
            elif occasion.event == SIGNED_UP and decided.entered_at != occasion.at:
                before[decided.key] = replace(decided, entered_at=occasion.at)
                yield before[decided.key]


def _occasions(offered: Offered, known: Known, now: datetime) -> Iterator[Occasion]:
    """What happened that the program may be entered by, first things first."""
    event = offered.program.entry.event
    found = [occasion for occasion in known.occasions if occasion.event == event]
    if event == SIGNED_UP and known.facts is not None:
        found = [
            Occasion(
                workspace=known.person.workspace,
                scope="",
                event=event,
                about="",
                at=known.facts.signed_up_at,
            )
        ]
    since = offered.live_since
    for occasion in sorted(found, key=lambda occasion: (occasion.at, occasion.about)):
        if occasion.at <= now and (since is None or occasion.at >= since):
            yield occasion


def _of_occasion(values: FactValues, facts: Mapping[str, Any]) -> FactValues:
    """What the entering event adds to what is known: the use of the feature that it names."""
    feature = facts.get("feature")
    return {} if feature is None else {USED_ANNOUNCED: values.get(f"used:{feature}", 0)}


# --- ahead ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Found:
    journey: Entered
    rows: Sequence[MessageRow] = ()
    decided: Sequence[Decided] = ()


@dataclass(frozen=True)
class _Ahead:
    known: Known
    programs: Mapping[str, Program]
    now: datetime
    database: Tzdata
    reach: timedelta = AHEAD

    @property
    def policy(self) -> Policy:
        return self.known.numbers.policy

    @property
    def begins(self) -> datetime:
        """What was due before is too late to be planned."""
        return self.now - self.policy.grace

    def of(self, entered: Entered) -> _Found:
        """What a journey has ahead, and the journey as it is now."""
        program, facts = self.programs.get(entered.program), self.known.facts
        if program is None or facts is None:
            return _Found(journey=entered)
        values = {**self.known.values, **_of_occasion(self.known.values, entered.facts)}
        if leaves(program, values):
            return _Found(journey=replace(entered, state="ended", reason="left"))
        journey = self._journey(program, entered, facts)
        if next_step(program, [each.step for each in journey.sent], values) is None:
            waits = any(not each.is_begun for each in self._mine(program, journey))
            if not waits:
                return _Found(journey=replace(entered, state="ended", reason="finished"))
        found = upcoming(
            program,
            journey,
            facts,
            values,
            policy=self.policy,
            # What is due at once may have been for long when it is first heard of.
            horizon=Span(min(self.begins, entered.entered_at), self.now + self.reach),
            database=self.database,
            preferred=self.known.preferred,
        )
        told = [each for each in found if self._is_told(program, each)]
        going = [each for each in told if each.skip is None and not each.held_out]
        return _Found(
            journey=entered,
            rows=[self._row(program, entered, each) for each in going],
            decided=[_why_not(self.known.person, each) for each in told if each not in going],
        )

    def _is_told(self, program: Program, message: Message) -> bool:
        """Weekly ones of long ago went, or did not, long ago."""
        step = program.step(message.step)
        weekly = step is not None and step.rhythm is Rhythm.WEEKLY
        return not weekly or message.due_at >= self.begins

    def _mine(self, program: Program, journey: Journey) -> list[Standing]:
        prefix = f"{key_of(program, journey)}/{journey.user}/"
        return [each for each in self.known.messages if each.row.identity.startswith(prefix)]

    def _journey(self, program: Program, entered: Entered, facts: Facts) -> Journey:
        """The journey with what was sent of it, and the dates that are decided."""
        journey = Journey(
            user=self.known.person.user,
            entered_at=entered.entered_at,
            about=entered.about or None,
            names_on=entered.names_on,
        )
        sent: list[Sent] = []
        dates = self._gone_by(facts)
        for each in sorted(self._mine(program, journey), key=lambda each: each.row.due_at):
            if not each.is_begun:
                continue
            on = _date_in(each.row.identity)
            if on is not None:
                dates.add(on)
            # A weekly step that did not go comes again; any other has had its one message.
            under_way = each.state in {State.PLANNED, State.CLAIMED}
            if each.state in DONE or under_way or on is None:
                sent.append(Sent(each.row.step, each.row.due_at))
        return replace(journey, sent=sent, decided_on=dates)

    def _gone_by(self, facts: Facts) -> set[date]:
        """Dates that were due too long ago to be sent, planned or not."""
        span = Span(self.begins - self.policy.grace - AGAIN, self.begins)
        return {each.on for each in plan(facts, self.policy, span, self.database)}

    def _row(self, program: Program, entered: Entered, message: Message) -> MessageRow:
        return MessageRow(
            person=self.known.person,
            identity=message.identity,
            account=self.known.account,
            program=program.id,
            program_version=program.version,
            step=message.step,
            template=message.template,
            variant=message.variant,
            channels=[channel.value for channel in message.channels],
            pillar=program.pillar.value,
            purpose=program.purpose,
            topic=program.topic,
            nominal_at=message.nominal_at.astimezone(UTC),
            due_at=message.due_at.astimezone(UTC),
            deadline=message.deadline,
            grace=self.policy.grace,
            zone=message.zone,
            zone_source=message.zone_source,
            tzdata=self.database.version,
            facts={**self.known.numbers.words, **entered.facts},
        )

    def invitations(self) -> Iterator[MessageRow]:
        """Messages that surveys asked for, each once, until the survey closes."""
        zone, source = self._zone()
        for occasion in self.known.occasions:
            if occasion.event != INVITED:
                continue
            closes_at = datetime.fromisoformat(occasion.facts["closes_at"])
            due_at = after_quiet(occasion.at, self.policy.quiet, self.database.zone(zone))
            yield MessageRow(
                person=self.known.person,
                identity=_invitation(occasion, self.known.person.user),
                account=self.known.account,
                program=SURVEYS,
                program_version=1,
                step=occasion.facts["kind"],
                template=occasion.facts["template"],
                variant=None,
                channels=_channels(self.known.preferred),
                pillar="support",
                purpose=Purpose.NPS,
                topic=SURVEYS,
                nominal_at=occasion.at.astimezone(UTC),
                due_at=due_at.astimezone(UTC),
                # Not from `closes_at` on, and the deadline itself still counts.
                deadline=closes_at - timedelta(microseconds=1),
                grace=self.policy.grace,
                zone=zone,
                zone_source=source,
                tzdata=self.database.version,
                facts={**self.known.numbers.words, **occasion.facts},
            )

    def _zone(self) -> tuple[str, str]:
        """The zone that holds now."""
        anchor = _anchor(self.known, self.now, self.database)
        if anchor is not None:
            return anchor.zone, anchor.zone_source.value
        zone, source = zone_of(self.known.zones, self.database)
        return zone, source.value


def _invitation(occasion: Occasion, user: str) -> str:
    return f"{SURVEYS}:{occasion.facts['invitation']}/{user}/{occasion.facts['kind']}"


def _channels(preferred: Sequence[str]) -> list[str]:
    return sorted(
        ("email", "in_app"),
        key=lambda channel: preferred.index(channel) if channel in preferred else len(preferred),
    )


def _anchor(known: Known, now: datetime, database: Tzdata) -> Anchor | None:
    """The anchor that holds now; None while nobody signed up."""
    facts = known.facts
    if facts is None:
        return None
    holding = regimes(facts.signed_up_at, facts.zones, facts.zone_events, database)
    return regime_at(holding, now).anchor


def _again(wanted: Mapping[str, MessageRow], now: datetime) -> datetime:
    """When to plan again: once it shows what became of the next message, a day on at the latest."""
    next_due = min((row.due_at for row in wanted.values()), default=now + AGAIN)
    return min(now + AGAIN, max(now + SOONEST, next_due + SETTLED))


def _date_in(identity: str) -> date | None:
    """The civil date that names an occurrence; None for a message that is named by its step."""
    try:
        return date.fromisoformat(identity.rpartition("/")[2])
    except ValueError:
        return None


def _went(row: MessageRow, outcome: str, reason: str | None = None) -> Decided:
    return Decided(
        person=row.person,
        identity=row.identity,
        due_at=row.due_at,
        outcome=outcome,
        reason=reason,
        rules=(
            f"zone {row.zone} by {row.zone_source}",
            f"due {row.due_at.isoformat()}",
            "quiet hours" if row.due_at != row.nominal_at else "no quiet hours",
        ),
    )


def _why_not(person: PersonId, message: Message) -> Decided:
    reason = "held_out" if message.held_out else str(message.skip)
    return Decided(
        person=person,
        identity=message.identity,
        due_at=message.due_at,
        outcome="skipped",
        reason=reason,
        rules=(f"zone {message.zone} by {message.zone_source}", reason),
    )
