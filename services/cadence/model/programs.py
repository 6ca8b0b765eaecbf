"""Programs: journeys of messages that a person enters by an event and leaves by a condition.

What step comes next follows from what was sent, not from the number of weeks: a missed week skips
no step (2.12). No condition can ask whether a mail was opened: machines open them too (2.14).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeVar

from services.cadence.model.caps import Purpose
from services.cadence.model.stages import Stage

ChannelT = TypeVar("ChannelT", bound=str)
Value = str | int | float | bool
FactValues = Mapping[str, Value | None]
"""What is known of a person by name; absent or None is unknown."""


class Pillar(StrEnum):
    """The four pillars of customer success (J2)."""

    WEBSITE_RESEARCH = "website_research"
    ONBOARDING = "onboarding"
    ADOPTION = "adoption"
    SUPPORT = "support"


class Channel(StrEnum):
    """The ways by which a message reaches a person (J10)."""

    EMAIL = "email"
    IN_APP = "in_app"
    WEBHOOK = "webhook"
    SLACK = "slack"


class How(StrEnum):
    """How a fact is compared. A fact that is unknown fits no comparison but `unknown`."""

    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    KNOWN = "known"
    UNKNOWN = "unknown"


class Rhythm(StrEnum):
    """When a step is due."""

    AT_ONCE = "at_once"  # when the program is entered, or the step before was sent
    WEEKLY = "weekly"  # at the person's next weekly hour
    AFTER = "after"  # `wait` after the step before, or after the entry
    BEFORE = "before"  # `wait` before the date that the entering event names


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison of one fact: one of FACTS, or a family with what it asks about."""

    fact: str
    how: How = How.EQUAL
    value: Value | None = None


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Holds where all of `every` do, one of `any_of` if it has some, and none of `none`."""

    every: tuple[Comparison, ...] = ()
    any_of: tuple[Comparison, ...] = ()
    none: tuple[Comparison, ...] = ()

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All of them."""
        return (*self.every, *self.any_of, *self.none)


ALWAYS = Condition()


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Where a journey goes on if a condition holds."""

    to: str
    when: Condition


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A wording of a step: its own template, and its share of people relative to the others."""

    id: str
    template: str
    share: int = 1


@dataclass(frozen=True, kw_only=True)
class Step:
    """One message of a program.

    `channels` are tried in order, the person's preferred ones first. A step whose `only_if` does
    not hold is passed over. After it the first branch that holds goes on, else `then`; without
    both the journey ends.
    """

    id: str
    template: str
    rhythm: Rhythm = Rhythm.WEEKLY
    wait: timedelta = timedelta()
    channels: tuple[Channel, ...] = (Channel.EMAIL,)
    only_if: Condition = ALWAYS
    branches: tuple[Branch, ...] = ()
    then: str | None = None
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The event by which people enter, and what has to hold then."""

    event: str
    when: Condition = ALWAYS


@dataclass(frozen=True, kw_only=True)
class Program:
    """A journey. Steps are told apart by id; the first one begins it.

    `stages` are the lifecycle stages that it speaks to. Whoever is in `hold_out`, a share from 0
    to 1, gets nothing and shows what would be without it. One that `repeats` may be entered again.
    """

    id: str
    name: str
    pillar: Pillar
    purpose: Purpose
    topic: str
    stages: tuple[Stage, ...]
    entry: Entry
    steps: tuple[Step, ...]
    version: int = 1
    ends_if: Condition | None = None
    hold_out: float = 0.0
    repeats: bool = False

    def step(self, step_id: str) -> Step | None:
        """The step of that id; None where it has none."""
        return next((step for step in self.steps if step.id == step_id), None)


# What a condition may ask for, by exact name.
FACTS = frozenset(
    {
        "stage",  # of the account's lifecycle
        "plan",
        "segment",
        "tier",
        "industry",
        "locale",
        "role",
        "onboarded",  # true, false
        "paying",  # true, false
        "nps_class",  # promoter, passive, detractor
        "health_band",  # red, amber, green
        "signed_up_days",  # civil days since the sign-up
        "seats",
    }
)
# And by family: the name, a colon, and what is asked about.
FAMILIES = frozenset(
    {
        "used",  # used:<feature>, how often
        "clicked",  # clicked:<step>, human clicks on it
        "engaged",  # engaged:<kind>, contents, trainings and the like gone through
        "tag",  # tag:<account tag>, true
    }
)
OPENS = "opened"  # a family that is refused: see lint


def known_fact(name: str) -> bool:
    """Whether a condition may ask for the fact."""
    family, colon, about = name.partition(":")
    return name in FACTS or (bool(colon) and bool(about) and family in FAMILIES)


def holds(condition: Condition, facts: FactValues) -> bool:
    """Whether the condition is true of the person."""
    return (
        all(_fits(test, facts) for test in condition.every)
        and (not condition.any_of or any(_fits(test, facts) for test in condition.any_of))
        and not any(_fits(test, facts) for test in condition.none)
    )


def enters(program: Program, event: str, facts: FactValues, *, entered_before: bool) -> bool:
    """Whether an event brings the person into the program."""
    if entered_before and not program.repeats:
        return False
    if program.entry.event != event or leaves(program, facts):
        return False
    return holds(program.entry.when, facts)


def leaves(program: Program, facts: FactValues) -> bool:
    """Whether the person is to leave the program: its end is asked before every step."""
    return program.ends_if is not None and holds(program.ends_if, facts)


def next_step(program: Program, sent: Sequence[str], facts: FactValues) -> Step | None:
    """The step after those sent, in order of sending; None where the journey is at its end.

    Steps that the person's facts pass over count as gone through, and none comes twice.
    """
    gone = set(sent)
    step = program.steps[0] if not sent else _following(program, program.step(sent[-1]), facts)
    while step is not None:
        if step.id not in gone and holds(step.only_if, facts):
            return step
        gone_on = step.id not in gone
        gone.add(step.id)
        step = _following(program, step, facts) if gone_on else None
    return None


def channels_in_order(channels: Sequence[ChannelT], preferred: Sequence[str]) -> list[ChannelT]:
    """A step's channels, those that the person prefers first, in the person's order."""
    wished = dict.fromkeys(preferred)
    liked = [channel for name in wished for channel in channels if channel == name]
    return [*liked, *(channel for channel in channels if channel not in liked)]


def channel_for(
    channels: Sequence[ChannelT], preferred: Sequence[str], usable: Collection[str]
) -> ChannelT | None:
    """The channel to take; None where none of the step's can reach the person."""
    return next(
        (channel for channel in channels_in_order(channels, preferred) if channel in usable), None
    )


def identity_of(program: str, user: str, occurrence: date | str) -> str:
    """Identity of a message: the program, the person, and a civil date or what else names it once.

    The person's id may hold any character; the last part holds no slash, so no two are alike as
    long as program ids hold none.
    """
    return f"{program}/{user}/{occurrence}"


def _following(program: Program, step: Step | None, facts: FactValues) -> Step | None:
    if step is None:
        return None
    to = next((branch.to for branch in step.branches if holds(branch.when, facts)), step.then)
    return None if to is None else program.step(to)


def _fits(test: Comparison, facts: FactValues) -> bool:
    fact = facts.get(test.fact)
    if test.how is How.UNKNOWN or test.how is How.KNOWN:
        return (fact is None) is (test.how is How.UNKNOWN)
    return fact is not None and test.value is not None and _compared(test.how, fact, test.value)


def _compared(how: How, fact: Value, value: Value) -> bool:
    """A comparison of known values; size only between numbers, and true is no number."""
    match how:
        case How.EQUAL:
            return _alike(fact, value)
        case How.NOT_EQUAL:
            return not _alike(fact, value)
        case _:
            if not (_is_number(fact) and _is_number(value)):
                return False
            return (
                float(fact) >= float(value) if how is How.AT_LEAST else float(fact) <= float(value)
            )


def _alike(fact: Value, value: Value) -> bool:
    return fact == value and isinstance(fact, bool) is isinstance(value, bool)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
