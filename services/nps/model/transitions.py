"""How people go from class to class between the waves that they answer."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.nps.model.classes import AnswerClass
from services.nps.model.intervals import Interval
from services.nps.model.proportion import wilson


@dataclass(frozen=True, kw_only=True)
class WaveAnswer:
    """A valid answer of a person in a wave."""

    user: str
    wave: str
    answer_class: AnswerClass
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Step:
    """How many people went from a class to the next that they answered with.

    `to_class` None: they did not answer again. `adjacent`: no wave lies between.
    """

    from_class: AnswerClass
    to_class: AnswerClass | None
    adjacent: bool
    people: int = 1


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The matrix of steps, who fell silent, and how many passives became promoters."""

    matrix: dict[AnswerClass, dict[AnswerClass, int]]
    no_next_answer: dict[AnswerClass, int]
    passive_to_promoter: int
    passive_base: int
    """Passives with a next answer."""
    conversion: float | None
    conversion_ci95: Interval | None


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """Over consecutive answered waves, and beside it over neighbouring waves alone."""

    consecutive: Flow
    adjacent_only: Flow


def transitions(steps: Iterable[Step]) -> Transitions:
    """The flows of steps. Where only neighbours count, an answer after a gap is none."""
    known = list(steps)
    return Transitions(
        consecutive=_flow(known),
        adjacent_only=_flow([each if each.adjacent else _cut(each) for each in known]),
    )


def steps_of(answers: Iterable[WaveAnswer], waves: Sequence[str]) -> list[Step]:
    """The steps of all people, in any order; `waves` oldest first, and has every answer's wave.

    The last answer of a person in a wave counts. Answers of the last wave have no next and make
    no step.
    """
    place = {wave: at for at, wave in enumerate(waves)}
    people: dict[str, dict[int, WaveAnswer]] = {}
    for answer in answers:
        said = people.setdefault(answer.user, {})
        at = place[answer.wave]
        if at not in said or said[at].at <= answer.at:
            said[at] = answer
    return [step for said in people.values() for step in _steps(said, len(waves) - 1)]


def wave_order(answers: Iterable[WaveAnswer]) -> list[str]:
    """Waves that were not opened here, by their first answer and then by name."""
    first: dict[str, datetime] = {}
    for answer in answers:
        first[answer.wave] = min(first.get(answer.wave, answer.at), answer.at)
    return sorted(first, key=lambda wave: (first[wave], wave))


def _steps(said: dict[int, WaveAnswer], last: int) -> Iterable[Step]:
    answered = sorted(said)
    for at, following in zip(answered, [*answered[1:], None], strict=True):
        if at == last:
            continue
        yield Step(
            from_class=said[at].answer_class,
            to_class=None if following is None else said[following].answer_class,
            adjacent=following == at + 1,
        )


def _cut(step: Step) -> Step:
    return Step(from_class=step.from_class, to_class=None, adjacent=False, people=step.people)


def _flow(steps: Iterable[Step]) -> Flow:
    moved: Counter[tuple[AnswerClass, AnswerClass | None]] = Counter()
    for step in steps:
        moved[step.from_class, step.to_class] += step.people
    matrix = {old: {new: moved[old, new] for new in AnswerClass} for old in AnswerClass}
    converted = matrix[AnswerClass.PASSIVE][AnswerClass.PROMOTER]
    base = sum(matrix[AnswerClass.PASSIVE].values())
    share = wilson(converted, base)
    return Flow(
        matrix=matrix,
        no_next_answer={old: moved[old, None] for old in AnswerClass},
        passive_to_promoter=converted,
        passive_base=base,
        conversion=share.proportion,
        conversion_ci95=share.interval,
    )
