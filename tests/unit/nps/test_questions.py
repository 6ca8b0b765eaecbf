"""Questions by class and language."""

import pytest

from services.nps.model.classes import AnswerClass
from services.nps.model.questions import (
    SCALE,
    Language,
    QuestionForm,
    SurveyKind,
    follow_ups,
    main_question,
)

BOTH = list(Language)


@pytest.mark.parametrize("language", BOTH)
def test_each_class_is_asked_its_own(language: Language):
    asked = {
        each: [question.name for question in follow_ups(each, language)] for each in AnswerClass
    }

    assert asked == {
        AnswerClass.DETRACTOR: ["what_went_wrong"],
        AnswerClass.PASSIVE: ["what_disappointed", "one_thing_for_a_9"],
        AnswerClass.PROMOTER: ["what_is_valued", "would_refer"],
    }


@pytest.mark.parametrize("language", BOTH)
def test_passives_are_asked_whether_they_use_and_know_a_feature(language: Language):
    found = follow_ups(AnswerClass.PASSIVE, language, feature="{0.__class__} & Co")[2:]

    assert [each.name for each in found] == ["uses_feature", "knows_feature"]
    assert all("{0.__class__} & Co" in each.words for each in found)
    assert all(each.form is QuestionForm.YES_NO for each in found)


@pytest.mark.parametrize("kind", list(SurveyKind))
def test_each_kind_has_its_question_in_both_languages(kind: SurveyKind):
    assert main_question(kind, Language.KOREAN) != main_question(kind, Language.ENGLISH)


@pytest.mark.parametrize(
    ("kind", "lowest", "highest"), [("nps", 0, 10), ("csat", 1, 5), ("ces", 1, 7), ("micro", 1, 5)]
)
def test_scales_at_their_ends(kind: str, lowest: int, highest: int):
    scale = SCALE[SurveyKind(kind)]

    assert [n for n in range(-1, 12) if n in scale] == list(range(lowest, highest + 1))
