"""What is wrong with programs before anybody is written to: each finding has a stable code."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from services.cadence.model.programs import OPENS, Condition, Program, Rhythm, Step, known_fact
from services.cadence.model.stages import Stage

SILENT_STAGES = frozenset({Stage.CHURNED})  # nobody is written to after churn (2.9)


class Fault(StrEnum):
    """Kinds of findings."""

    STAGE_WITHOUT_MESSAGE = "stage_without_message"
    NO_STEP = "no_step"
    DUPLICATE_PROGRAM = "duplicate_program"
    DUPLICATE_STEP = "duplicate_step"
    UNKNOWN_STEP = "unknown_step"
    UNREACHABLE_STEP = "unreachable_step"
    CYCLE = "cycle"
    NO_CHANNEL = "no_channel"
    BAD_WAIT = "bad_wait"
    BAD_SHARES = "bad_shares"
    BAD_ID = "bad_id"
    UNKNOWN_FACT = "unknown_fact"
    DEPENDS_ON_OPENS = "depends_on_opens"
    MISSING_TEMPLATE = "missing_template"
    MISSING_TRANSLATION = "missing_translation"


class Finding(NamedTuple):
    """What is wrong, where. `program` None: with all of them together."""

    fault: Fault
    program: str | None
    step: str | None
    message: str


def lint(
    programs: Sequence[Program],
    translations: Mapping[str, Collection[str]],
    locales: Collection[str],
) -> list[Finding]:
    """Everything found in a workspace's programs.

    `translations` are the locales that each template is written in, `locales` those needed.
    """
    found = [*_stages_without_message(programs), *_duplicates(programs)]
    for program in programs:
        found += lint_program(program, translations, locales)
    return found


def lint_program(
    program: Program, translations: Mapping[str, Collection[str]], locales: Collection[str]
) -> list[Finding]:
    """Everything found in one program."""
    if not program.steps:
        return [_finding(Fault.NO_STEP, program, None, "it has no step")]
    return [
        *_names(program),
        *_roads(program),
        *_shares(program),
        *_timing(program),
        *_conditions(program),
        *_templates(program, translations, locales),
    ]


def _stages_without_message(programs: Iterable[Program]) -> Iterator[Finding]:
    """Each stage of the lifecycle has a message of its own (J9)."""
    spoken_to = {stage for program in programs if program.steps for stage in program.stages}
    for stage in Stage:
        if stage not in spoken_to and stage not in SILENT_STAGES:
            yield Finding(
                Fault.STAGE_WITHOUT_MESSAGE, None, None, f"no program speaks to the stage {stage}"
            )


def _duplicates(programs: Iterable[Program]) -> Iterator[Finding]:
    for program_id, times in Counter(program.id for program in programs).items():
        if times > 1:
            yield Finding(
                Fault.DUPLICATE_PROGRAM, program_id, None, f"{times} programs have this id"
            )


def _names(program: Program) -> Iterator[Finding]:
    # A slash would make identities of messages ambiguous.
    if not program.id or "/" in program.id:
        yield _finding(Fault.BAD_ID, program, None, f"{program.id!r} is empty or holds a slash")
    for step_id, times in Counter(step.id for step in program.steps).items():
        if not step_id or "/" in step_id:
            yield _finding(Fault.BAD_ID, program, step_id, f"{step_id!r} is empty or holds a slash")
        if times > 1:
            yield _finding(Fault.DUPLICATE_STEP, program, step_id, f"{times} steps have this id")


def _roads(program: Program) -> Iterator[Finding]:
    """Where steps lead: to steps that are there, to every step, and never back."""
    ids = {step.id for step in program.steps}
    for step in program.steps:
        for to in _leads_to(step):
            if to not in ids:
                yield _finding(Fault.UNKNOWN_STEP, program, step.id, f"it leads to {to!r}")
    reached, back = _walked(program)
    for step in program.steps:
        if step.id not in reached:
            yield _finding(Fault.UNREACHABLE_STEP, program, step.id, "no step leads to it")
    for from_, to in sorted(back):
        yield _finding(Fault.CYCLE, program, from_, f"it leads back to {to!r}")


def _walked(program: Program) -> tuple[set[str], set[tuple[str, str]]]:
    """The steps that can be reached from the first, and the leads that close a circle."""
    steps = {step.id: step for step in program.steps}
    first = program.steps[0].id
    done: set[str] = set()
    open_: dict[str, Iterator[str]] = {first: iter(_leads_to(steps[first]))}
    back: set[tuple[str, str]] = set()
    while open_:
        at = next(reversed(open_))
        to = next(open_[at], None)
        if to is None:
            done.add(at)
            del open_[at]
        elif to in open_:
            back.add((at, to))
        elif to in steps and to not in done:
            open_[to] = iter(_leads_to(steps[to]))
    return done, back


def _leads_to(step: Step) -> list[str]:
    return [*(branch.to for branch in step.branches), *([] if step.then is None else [step.then])]


def _shares(program: Program) -> Iterator[Finding]:
    if not 0 <= program.hold_out < 1:
        yield _finding(
            Fault.BAD_SHARES, program, None, f"hold_out {program.hold_out} is not in [0, 1)"
        )
    for step in program.steps:
        shares = [variant.share for variant in step.variants]
        if any(share < 0 for share in shares) or (shares and sum(shares) == 0):
            yield _finding(Fault.BAD_SHARES, program, step.id, f"shares {shares} divide nobody")
        if len({variant.id for variant in step.variants}) < len(shares):
            yield _finding(Fault.BAD_SHARES, program, step.id, "two variants have one id")


def _timing(program: Program) -> Iterator[Finding]:
    for step in program.steps:
        if not step.channels:
            yield _finding(Fault.NO_CHANNEL, program, step.id, "no channel can carry it")
        waits = step.rhythm in {Rhythm.AFTER, Rhythm.BEFORE}
        if waits is not bool(step.wait) or step.wait.total_seconds() < 0:
            yield _finding(
                Fault.BAD_WAIT, program, step.id, f"a wait of {step.wait} with {step.rhythm}"
            )


def _conditions(program: Program) -> Iterator[Finding]:
    yield from _facts(program, None, program.entry.when)
    if program.ends_if is not None:
        yield from _facts(program, None, program.ends_if)
    for step in program.steps:
        for condition in (step.only_if, *(branch.when for branch in step.branches)):
            yield from _facts(program, step.id, condition)


def _facts(program: Program, step: str | None, condition: Condition) -> Iterator[Finding]:
    for test in condition.comparisons:
        if test.fact.partition(":")[0] == OPENS:
            yield _finding(
                Fault.DEPENDS_ON_OPENS,
                program,
                step,
                "opens are no sign of a person: ask for clicked or used",
            )
        elif not known_fact(test.fact):
            yield _finding(Fault.UNKNOWN_FACT, program, step, f"there is no fact {test.fact!r}")


def _templates(
    program: Program, translations: Mapping[str, Collection[str]], locales: Collection[str]
) -> Iterator[Finding]:
    for step in program.steps:
        for template in templates_of(step):
            if template not in translations:
                yield _finding(
                    Fault.MISSING_TEMPLATE, program, step.id, f"there is no template {template!r}"
                )
                continue
            for locale in sorted(set(locales) - set(translations[template])):
                yield _finding(
                    Fault.MISSING_TRANSLATION,
                    program,
                    step.id,
                    f"template {template!r} is not written in {locale}",
                )


def templates_of(step: Step) -> list[str]:
    """The templates that a step may be written from."""
    return [variant.template for variant in step.variants] or [step.template]


def _finding(fault: Fault, program: Program, step: str | None, message: str) -> Finding:
    return Finding(fault, program.id, step, message)
