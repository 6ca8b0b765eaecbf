"""Loops: what opens one, by when it is due, and what alone closes it."""

from datetime import UTC, datetime, timedelta

import pytest

from services.nps.model.classes import AnswerClass
from services.nps.model.loops import (
    ContactWithin,
    Outcome,
    Reason,
    asks_for_contact,
    due_at,
    feedback_asks_for_contact,
    feedback_due_at,
    is_overdue,
    measures,
    outcome,
)

SAID_AT = datetime(2026, 3, 3, 0, 25, tzinfo=UTC)
WITHIN = ContactWithin()
PROMOTER, PASSIVE, DETRACTOR = AnswerClass.PROMOTER, AnswerClass.PASSIVE, AnswerClass.DETRACTOR


@pytest.mark.parametrize(
    ("reason", "last_low"), [("nps", 6), ("csat", 2), ("ces", 3), ("micro", 2)]
)
def test_low_answers_ask_for_a_contact(reason: str, last_low: int):
    assert asks_for_contact(Reason(reason), last_low)
    assert not asks_for_contact(Reason(reason), last_low + 1)


@pytest.mark.parametrize(
    ("kind", "asks"),
    [
        ("complaint", True),
        ("public_review", True),
        ("return", True),
        ("praise", False),
        ("request", False),
    ],
)
def test_feedback_asks_for_a_contact_by_its_kind(kind: str, asks: bool):  # noqa: FBT001
    assert feedback_asks_for_contact(kind) is asks


def test_feedback_has_no_score_to_open_a_loop():
    with pytest.raises(ValueError, match="by its kind"):
        asks_for_contact(Reason.FEEDBACK, 1)


def test_a_public_review_is_answered_before_anything_else():
    assert due_at(SAID_AT, Reason.NPS, WITHIN) == SAID_AT + timedelta(hours=24)
    assert feedback_due_at(SAID_AT, "complaint", WITHIN) == SAID_AT + timedelta(hours=24)
    assert feedback_due_at(SAID_AT, "public_review", WITHIN) == SAID_AT + timedelta(hours=4)


def test_the_due_instant_is_still_in_time():
    late = SAID_AT + timedelta(microseconds=1)

    assert not is_overdue(SAID_AT, contacted_at=None, as_of=SAID_AT)
    assert is_overdue(SAID_AT, contacted_at=None, as_of=late)
    assert not is_overdue(SAID_AT, contacted_at=SAID_AT, as_of=late)
    assert is_overdue(SAID_AT, contacted_at=late, as_of=late)


def test_only_an_answer_after_the_contact_measures_it():
    assert not measures(None, SAID_AT)
    assert not measures(SAID_AT, SAID_AT)
    assert measures(SAID_AT, SAID_AT + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("measured", "expected"), [(PROMOTER, "better"), (PASSIVE, "same"), (DETRACTOR, "worse")]
)
def test_a_loop_closes_with_a_contact_and_a_new_class(measured: AnswerClass, expected: str):
    found = outcome(
        Reason.NPS,
        answer_class=PASSIVE,
        contacted_at=SAID_AT,
        measured_class=measured,
        is_next_wave_over=False,
    )

    assert found == Outcome(expected)


@pytest.mark.parametrize(
    ("is_contacted", "is_over", "expected"),
    [(False, True, None), (True, False, None), (True, True, Outcome.NO_NEXT_ANSWER)],
)
def test_without_a_new_class_only_a_contact_and_the_next_waves_end_close_it(
    is_contacted: bool,  # noqa: FBT001
    is_over: bool,  # noqa: FBT001
    expected: Outcome | None,
):
    found = outcome(
        Reason.NPS,
        answer_class=DETRACTOR,
        contacted_at=SAID_AT if is_contacted else None,
        measured_class=None,
        is_next_wave_over=is_over,
    )

    assert found == expected


def test_a_new_class_without_a_contact_closes_nothing():
    found = outcome(
        Reason.NPS,
        answer_class=DETRACTOR,
        contacted_at=None,
        measured_class=PROMOTER,
        is_next_wave_over=True,
    )

    assert found is None


def test_feedback_closes_with_the_contact():
    found = outcome(
        Reason.FEEDBACK,
        answer_class=None,
        contacted_at=SAID_AT,
        measured_class=None,
        is_next_wave_over=False,
    )

    assert found == Outcome.ANSWERED
