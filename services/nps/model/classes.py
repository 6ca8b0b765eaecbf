"""Classes of answers, and how many there are of each: everything is reckoned from counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

LOWEST, HIGHEST = 0, 10
PASSIVE_FROM, PROMOTER_FROM = 7, 9


class AnswerClass(StrEnum):
    """What an answer makes of a person (J15)."""

    PROMOTER = "promoter"
    PASSIVE = "passive"
    DETRACTOR = "detractor"


STEP = {AnswerClass.PROMOTER: 1, AnswerClass.PASSIVE: 0, AnswerClass.DETRACTOR: -1}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Answers by class. Whoever skipped or dismissed the question is in none."""

    promoter: int = 0
    passive: int = 0
    detractor: int = 0

    def __post_init__(self) -> None:
        if min(self.promoter, self.passive, self.detractor) < 0:
            raise ValueError(f"a count is negative: {self}")

    def __add__(self, other: Self) -> "Counts":
        return Counts(
            promoter=self.promoter + other.promoter,
            passive=self.passive + other.passive,
            detractor=self.detractor + other.detractor,
        )

    @property
    def n(self) -> int:
        """All answers."""
        return self.promoter + self.passive + self.detractor

    @property
    def net(self) -> int:
        """Promoters less detractors."""
        return self.promoter - self.detractor


def nps_class(score: int) -> AnswerClass:
    """Class of a 0-10 answer: 0-6 detractor, 7-8 passive, 9-10 promoter (J15).

    Raises ValueError outside 0-10.
    """
    if not LOWEST <= score <= HIGHEST:
        raise ValueError(f"{score} is no score from {LOWEST} to {HIGHEST}")
    if score >= PROMOTER_FROM:
        return AnswerClass.PROMOTER
    return AnswerClass.PASSIVE if score >= PASSIVE_FROM else AnswerClass.DETRACTOR


def score_said(value: object) -> int | None:
    """The score that a value of JSON is; None for all but a whole number from 0 to 10 (J14).

    7.0 is a whole number, as JSON does not tell it from 7; true and "7" are none.
    """
    match value:
        case bool():
            return None
        case int() if LOWEST <= value <= HIGHEST:
            return value
        case float() if value.is_integer() and LOWEST <= value <= HIGHEST:
            return int(value)
        case _:
            return None


def count_scores(answers: Mapping[int, int]) -> Counts:
    """The counts by class of counts by score. Raises ValueError for a score outside 0-10."""
    found = dict.fromkeys(AnswerClass, 0)
    for score, times in answers.items():
        found[nps_class(score)] += times
    return Counts(**found)


def count(classes: Iterable[AnswerClass]) -> Counts:
    """How many there are of each class."""
    found = dict.fromkeys(AnswerClass, 0)
    for each in classes:
        found[each] += 1
    return Counts(**found)
