"""What is asked, in Korean and English: the question of a survey, and what follows an answer."""

from dataclasses import dataclass
from enum import StrEnum

from services.nps.model.classes import AnswerClass


class Language(StrEnum):
    """Languages that the questions are written in."""

    KOREAN = "ko"
    ENGLISH = "en"


class SurveyKind(StrEnum):
    """Kinds of surveys."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"
    MICRO = "micro"


class QuestionForm(StrEnum):
    """How a follow-up is answered."""

    TEXT = "text"
    YES_NO = "yes_no"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The whole numbers of a survey's answers, both ends included."""

    lowest: int
    highest: int

    def __contains__(self, score: int) -> bool:
        return self.lowest <= score <= self.highest


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question under the name that its answer is kept by."""

    name: str
    words: str
    form: QuestionForm = QuestionForm.TEXT


SCALE = {
    SurveyKind.NPS: Scale(lowest=0, highest=10),
    SurveyKind.CSAT: Scale(lowest=1, highest=5),
    SurveyKind.CES: Scale(lowest=1, highest=7),
    SurveyKind.MICRO: Scale(lowest=1, highest=5),
}

KOREAN, ENGLISH = Language.KOREAN, Language.ENGLISH

MAIN = {
    SurveyKind.NPS: {
        KOREAN: "저희 서비스를 지인에게 추천하실 의향이 얼마나 있으신가요?",
        ENGLISH: "How likely are you to recommend us to an acquaintance?",
    },
    SurveyKind.CSAT: {
        KOREAN: "얼마나 만족하셨나요?",
        ENGLISH: "How satisfied are you?",
    },
    SurveyKind.CES: {
        KOREAN: "원하시던 일을 쉽게 처리하셨다는 말에 얼마나 동의하시나요?",
        ENGLISH: "How far do you agree: it was easy to do what I wanted?",
    },
    SurveyKind.MICRO: {
        KOREAN: "방금 사용해 보시니 어떠셨나요?",
        ENGLISH: "How was what you just did?",
    },
}

WHAT_WENT_WRONG = {
    KOREAN: "어떤 점이 잘못되었나요?",
    ENGLISH: "What went wrong?",
}
WHAT_DISAPPOINTED = {
    KOREAN: "어떤 점이 아쉬우셨나요?",
    ENGLISH: "What disappointed you?",
}
ONE_THING = {
    KOREAN: "무엇 하나를 고치거나 더하면 9점을 주시겠어요?",
    ENGLISH: "What one thing would make it a 9?",
}
WHAT_IS_VALUED = {
    KOREAN: "가장 마음에 드는 점은 무엇인가요?",
    ENGLISH: "What do you value most?",
}
WOULD_REFER = {
    KOREAN: "저희를 소개하거나 후기를 남겨 주실 수 있나요?",
    ENGLISH: "Would you introduce us to somebody, or write a review?",
}
KNOWS_FEATURE = {
    KOREAN: "{feature} 기능이 있다는 것을 알고 계셨나요?",
    ENGLISH: "Did you know that there is {feature}?",
}
USES_FEATURE = {
    KOREAN: "{feature} 기능을 사용하고 계신가요?",
    ENGLISH: "Do you use {feature}?",
}


def main_question(kind: SurveyKind, language: Language) -> str:
    """The one question of a survey."""
    return MAIN[kind][language]


def follow_ups(
    answer_class: AnswerClass, language: Language, *, feature: str | None = None
) -> list[Question]:
    """What a class is asked next. Passives are also asked about a feature, where one is named."""
    match answer_class:
        case AnswerClass.DETRACTOR:
            return [Question(name="what_went_wrong", words=WHAT_WENT_WRONG[language])]
        case AnswerClass.PASSIVE:
            return [
                Question(name="what_disappointed", words=WHAT_DISAPPOINTED[language]),
                Question(name="one_thing_for_a_9", words=ONE_THING[language]),
                *_feature_check(language, feature),
            ]
        case AnswerClass.PROMOTER:
            return [
                Question(name="what_is_valued", words=WHAT_IS_VALUED[language]),
                Question(name="would_refer", words=WOULD_REFER[language], form=QuestionForm.YES_NO),
            ]


def _feature_check(language: Language, feature: str | None) -> list[Question]:
    if feature is None:
        return []
    # Replaced, not formatted: a feature's name is somebody's text and may hold braces.
    return [
        Question(
            name=name,
            words=words[language].replace("{feature}", feature),
            form=QuestionForm.YES_NO,
        )
        for name, words in (("uses_feature", USES_FEATURE), ("knows_feature", KNOWS_FEATURE))
    ]
