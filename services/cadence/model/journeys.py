"""A person's way through a program: which messages come next, and when.

Planning, the forecast, dry runs and the calendar ask the same function. It looks ahead as if every
message went when it is due and nothing else became known; what is known later is asked again then.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from services.cadence.model.anchor import Anchor, Regime, regime_at, regimes
from services.cadence.model.experiments import arm_of
from services.cadence.model.occurrences import Facts, Occurrence, Policy, Skip, plan
from services.cadence.model.programs import (
    Channel,
    FactValues,
    Program,
    Rhythm,
    Step,
    channels_in_order,
    identity_of,
    leaves,
    next_step,
)
from services.cadence.model.quiet import after_quiet
from services.cadence.model.spans import Span
from services.cadence.model.zones import resolved
from shared.zones import Tzdata

DAY = timedelta(days=1)
# Steps of one journey looked ahead at: a bound, should a program lead in a circle.
MOST_STEPS = 100


class Sent(NamedTuple):
    """A step of a journey that was handed over, and when."""

    step: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A person in a program.

    `about` is what the entering event spoke of (a feature, a contract and its date), where the
    program can be entered again. `names_on` is the civil date that it names, for steps before it.
    `decided_on` are the civil dates of weekly occurrences that are sent, or will not be.
    """

    user: str
    entered_at: datetime
    about: str | None = None
    names_on: date | None = None
    sent: Sequence[Sent] = ()
    decided_on: Collection[date] = ()


class Message(NamedTuple):
    """One message to come. `skip` and `held_out` say why it would not go.

    `deadline`: until then it is sent however late, instead of within the grace (2.8).
    """

    identity: str
    step: str
    template: str
    variant: str | None
    channels: tuple[Channel, ...]
    nominal_at: datetime
    due_at: datetime
    send_at: datetime
    deadline: datetime | None
    zone: str
    zone_source: str
    skip: Skip | None = None
    held_out: bool = False


def upcoming(
    program: Program,
    journey: Journey,
    person: Facts,
    values: FactValues,
    *,
    policy: Policy,
    horizon: Span,
    database: Tzdata,
    preferred: Sequence[str] = (),
) -> list[Message]:
    """The messages of the journey that are due inside the horizon, which begins now, in order.

    A weekly step that is skipped stays the next one (2.12): its message is shown with the reason,
    and comes again with the occurrence after it. Nobody is written to who has left the program.
    """
    if leaves(program, values):
        return []
    road = _Road(program, journey, person, policy, database, tuple(preferred))
    ahead: list[Message] = []
    going = journey
    for _ in range(MOST_STEPS):
        step = next_step(program, [each.step for each in going.sent], values)
        if step is None:
            break
        messages = list(road.messages_of(step, going, horizon))
        ahead += [message for message in messages if message.due_at in horizon]
        last = messages[-1] if messages else None
        if last is None or last.skip is not None:
            break
        going = replace(going, sent=[*going.sent, Sent(step.id, last.send_at)])
    return ahead


def key_of(program: Program, journey: Journey) -> str:
    """What stands for the program in identities: each entry of one that repeats has its own."""
    return program.id if journey.about is None else f"{program.id}:{journey.about}"


@dataclass(frozen=True)
class _Road:
    """Everything of a journey that does not change on the way."""

    program: Program
    journey: Journey
    person: Facts
    policy: Policy
    database: Tzdata
    preferred: tuple[str, ...]

    def messages_of(self, step: Step, going: Journey, horizon: Span) -> Iterator[Message]:
        """The step's message; of a weekly one also those of the occurrences it is skipped at."""
        base = going.sent[-1].at if going.sent else going.entered_at
        if step.rhythm is Rhythm.WEEKLY:
            yield from self._weekly(step, base, horizon)
            return
        regime = regime_at(self._regimes, base)
        due = self._nominal(step, base, regime.anchor)
        if due is not None:
            yield self._once(step, max(due, base), regime.anchor)

    @property
    def _regimes(self) -> Sequence[Regime]:
        person = self.person
        return regimes(person.signed_up_at, person.zones, person.zone_events, self.database)

    def _weekly(self, step: Step, base: datetime, horizon: Span) -> Iterator[Message]:
        asked = Span(max(base, horizon.starts_at - self.policy.grace), horizon.ends_at)
        for each in plan(self.person, self.policy, asked, self.database):
            # What is due at the very instant of the message before is that message's.
            if each.due_at <= base or each.on in self.journey.decided_on:
                continue
            if each.skip is Skip.TOO_CLOSE:
                continue
            yield self._occurrence(step, each)
            if each.skip is None:
                return

    def _nominal(self, step: Step, base: datetime, anchor: Anchor) -> datetime | None:
        """When the step is due before quiet hours; None where the date that it needs is unknown."""
        match step.rhythm:
            case Rhythm.AFTER:
                return self._later(base, step.wait, anchor)
            case Rhythm.BEFORE if self.journey.names_on is None:
                return None
            case Rhythm.BEFORE:
                assert self.journey.names_on is not None
                return self._local(self.journey.names_on - step.wait, anchor.local_time, anchor)
            case _:
                return base

    def _later(self, base: datetime, wait: timedelta, anchor: Anchor) -> datetime:
        """So much later on the wall clock: whole days keep the local time."""
        days = timedelta(days=wait.days)
        zone = self.database.zone(anchor.zone)
        local = base.astimezone(zone).replace(tzinfo=None)
        return resolved(local + days, zone).instant + (wait - days)

    def _local(self, on: date, clock: time, anchor: Anchor) -> datetime:
        return resolved(datetime.combine(on, clock), self.database.zone(anchor.zone)).instant

    def _once(self, step: Step, nominal: datetime, anchor: Anchor) -> Message:
        due = after_quiet(nominal, self.policy.quiet, self.database.zone(anchor.zone))
        return self._message(step, step.id, nominal, due, due, anchor.zone, anchor.zone_source)

    def _occurrence(self, step: Step, each: Occurrence) -> Message:
        send_at = each.due_at if each.send_at is None else each.send_at
        message = self._message(
            step, each.on, each.nominal_at, each.due_at, send_at, each.zone, each.zone_source
        )
        return message._replace(skip=each.skip)

    def _message(
        self,
        step: Step,
        named: date | str,
        nominal: datetime,
        due: datetime,
        send_at: datetime,
        zone: str,
        zone_source: str,
    ) -> Message:
        arm = arm_of(self.program, step, self.journey.user)
        return Message(
            identity=identity_of(key_of(self.program, self.journey), self.journey.user, named),
            step=step.id,
            template=step.template if arm.variant is None else arm.variant.template,
            variant=None if arm.variant is None else arm.variant.id,
            channels=tuple(channels_in_order(step.channels, self.preferred)),
            nominal_at=nominal,
            due_at=due,
            send_at=send_at,
            deadline=self._deadline(zone),
            zone=zone,
            zone_source=zone_source,
            held_out=arm.held_out,
        )

    def _deadline(self, zone: str) -> datetime | None:
        """The end of the civil day that the journey is about; None where it names none."""
        if self.journey.names_on is None:
            return None
        midnight = datetime.combine(self.journey.names_on + DAY, time())
        return resolved(midnight, self.database.zone(zone)).instant.astimezone(UTC)
