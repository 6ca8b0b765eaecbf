"""Loops: what asks for a human contact, by when, and what closes it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from services.nps.model.classes import STEP, AnswerClass, nps_class


class Reason(StrEnum):
    """What opened a loop."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"
    MICRO = "micro"
    FEEDBACK = "feedback"


class Outcome(StrEnum):
    """What became of a closed loop."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    ANSWERED = "answered"
    NO_NEXT_ANSWER = "no_next_answer"


# Scores that call for a contact, at most: csat and micro run from 1 to 5, ces from 1 to 7.
LOW_UP_TO = {Reason.CSAT: 2, Reason.CES: 3, Reason.MICRO: 2}
ASKING_FEEDBACK = frozenset({"complaint", "public_review", "return"})


@dataclass(frozen=True, kw_only=True)
class ContactWithin:
    """How fast somebody is answered (N40: what stays unanswered becomes a bad public review)."""

    by_reason: dict[Reason, timedelta] = field(
        default_factory=lambda: dict.fromkeys(Reason, timedelta(hours=24))
    )
    public_review: timedelta = timedelta(hours=4)


def asks_for_contact(reason: Reason, score: int) -> bool:
    """Whether an answer opens a loop: a detractor's, or a low one of another kind.

    Raises ValueError for feedback, which has no score of ours, and for an nps score off the scale.
    """
    match reason:
        case Reason.NPS:
            return nps_class(score) is AnswerClass.DETRACTOR
        case Reason.FEEDBACK:
            raise ValueError("feedback opens loops by its kind, not by a score")
        case _:
            return score <= LOW_UP_TO[reason]


def feedback_asks_for_contact(kind: str) -> bool:
    """Whether a feedback item opens a loop: complaints, returns and public reviews do."""
    return kind in ASKING_FEEDBACK


def due_at(opened_at: datetime, reason: Reason, within: ContactWithin) -> datetime:
    """By when the person is to be contacted; that instant is still in time."""
    return opened_at + within.by_reason[reason]


def feedback_due_at(at: datetime, kind: str, within: ContactWithin) -> datetime:
    """By when a feedback item is to be answered; the whole world reads a public review."""
    if kind == "public_review":
        return at + within.public_review
    return due_at(at, Reason.FEEDBACK, within)


def is_overdue(due: datetime, *, contacted_at: datetime | None, as_of: datetime) -> bool:
    """Whether the contact came too late, or has not come and is late."""
    return (as_of if contacted_at is None else contacted_at) > due


def measures(contacted_at: datetime | None, answered_at: datetime) -> bool:
    """Whether an answer re-measures a loop: only one given after the contact tells its effect."""
    return contacted_at is not None and answered_at > contacted_at


def outcome(
    reason: Reason,
    *,
    answer_class: AnswerClass | None,
    contacted_at: datetime | None,
    measured_class: AnswerClass | None,
    is_next_wave_over: bool,
) -> Outcome | None:
    """What closes the loop now; None: it stays open.

    Nothing closes without a human contact. A loop of a class is closed by the next class too, or
    by the end of the wave that would have told it; all others by the contact alone.
    """
    if contacted_at is None:
        return None
    if reason is not Reason.NPS or answer_class is None:
        return Outcome.ANSWERED
    if measured_class is not None:
        return _change(answer_class, measured_class)
    return Outcome.NO_NEXT_ANSWER if is_next_wave_over else None


def _change(before: AnswerClass, after: AnswerClass) -> Outcome:
    step = STEP[after] - STEP[before]
    if step == 0:
        return Outcome.SAME
    return Outcome.BETTER if step > 0 else Outcome.WORSE
