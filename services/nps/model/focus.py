"""The order in which people are followed up: what the team works on now comes first (J18)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from services.nps.model.classes import AnswerClass, nps_class


class Focus(StrEnum):
    """What a team works on."""

    PROMOTERS = "promoters"
    """Early teams: find those who spread the word."""
    PASSIVES_TO_PROMOTERS = "passives_to_promoters"
    DETRACTORS = "detractors"


ORDER = {
    Focus.PROMOTERS: (AnswerClass.PROMOTER, AnswerClass.PASSIVE, AnswerClass.DETRACTOR),
    Focus.PASSIVES_TO_PROMOTERS: (
        AnswerClass.PASSIVE,
        AnswerClass.DETRACTOR,
        AnswerClass.PROMOTER,
    ),
    Focus.DETRACTORS: (AnswerClass.DETRACTOR, AnswerClass.PASSIVE, AnswerClass.PROMOTER),
}


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A person's answer that nobody has followed up yet; mrr None: unknown."""

    user: str
    score: int
    answered_at: datetime
    mrr: Decimal | None


def queue(waiting: Iterable[FollowUp], focus: Focus) -> list[FollowUp]:
    """Whom to follow up first: by class as the focus has it.

    Within a class the nearest to the next better one, then the highest MRR, unknown last, then
    the longest wait.
    """
    place = {each: at for at, each in enumerate(ORDER[focus])}
    return sorted(
        waiting,
        key=lambda each: (
            place[nps_class(each.score)],
            -each.score,
            each.mrr is None,
            -(each.mrr or Decimal(0)),
            each.answered_at,
            each.user,
        ),
    )
