"""Classes of answers at their boundaries, and what is no score."""

import pytest

from services.nps.model.classes import AnswerClass, Counts, count_scores, nps_class, score_said


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0, "detractor"),
        (6, "detractor"),
        (7, "passive"),
        (8, "passive"),
        (9, "promoter"),
        (10, "promoter"),
    ],
)
def test_class_of_a_score(score: int, expected: str):
    assert nps_class(score) == AnswerClass(expected)


@pytest.mark.parametrize("score", [-1, 11])
def test_a_number_off_the_scale_has_no_class(score: int):
    with pytest.raises(ValueError, match="is no score"):
        nps_class(score)


@pytest.mark.parametrize(
    "value", [-1, 11, 7.5, None, True, False, "7", "", [], {}, float("nan"), float("inf"), 10**30]
)
def test_what_is_no_whole_number_from_0_to_10_is_no_score(value: object):
    assert score_said(value) is None


@pytest.mark.parametrize("value", [0, 10, 7.0])
def test_a_whole_number_is_a_score(value: float):
    assert score_said(value) == int(value)


def test_counts_of_scores_are_counts_of_classes():
    found = count_scores({6: 2, 7: 1, 8: 3, 9: 4})

    assert found == Counts(promoter=4, passive=4, detractor=2)


def test_a_count_below_zero_is_refused():
    with pytest.raises(ValueError, match="negative"):
        Counts(promoter=-1)
