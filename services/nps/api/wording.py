"""The words of the survey page, in every language that it speaks."""

SCALES = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7), "micro": (1, 5)}


def scale_of(kind: str) -> tuple[int, int]:
    """Lowest and highest score of a kind of survey, both included."""
    return SCALES[kind]


WORDS = {
    "en": {
        "question_nps": "How likely are you to recommend us to an acquaintance?",
        "question_csat": "How satisfied are you?",
        "question_ces": "How easy was it to get done what you came for?",
        "question_micro": "How was that?",
        "low_nps": "not at all likely",
        "high_nps": "extremely likely",
        "low_csat": "not at all",
        "high_csat": "completely",
        "low_ces": "very hard",
        "high_ces": "very easy",
        "low_micro": "bad",
        "high_micro": "good",
        "comment": "What is the most important reason for your score?",
        "send": "Send",
        "fault": "Please choose one of the numbers.",
        "thanks": "Thank you. Your answer is recorded.",
        "change": "You can change it through the same link until the survey closes.",
        "closed": "This survey is closed.",
        "gone": "This link is not valid, or no longer.",
    },
    "ko": {
        "question_nps": "저희 서비스를 지인에게 추천할 의향이 얼마나 있으신가요?",
        "question_csat": "얼마나 만족하셨나요?",
        "question_ces": "원하시던 일을 처리하기가 얼마나 쉬웠나요?",
        "question_micro": "어떠셨나요?",
        "low_nps": "전혀 없음",
        "high_nps": "매우 높음",
        "low_csat": "전혀 만족하지 않음",
        "high_csat": "매우 만족함",
        "low_ces": "매우 어려움",
        "high_ces": "매우 쉬움",
        "low_micro": "나쁨",
        "high_micro": "좋음",
        "comment": "그 점수를 주신 가장 큰 이유는 무엇인가요?",
        "send": "보내기",
        "fault": "숫자 중 하나를 선택해 주세요.",
        "thanks": "감사합니다. 답변이 기록되었습니다.",
        "change": "설문이 끝나기 전까지 같은 링크에서 답변을 바꾸실 수 있습니다.",
        "closed": "이 설문은 종료되었습니다.",
        "gone": "유효하지 않거나 만료된 링크입니다.",
    },
}
LANGUAGES = frozenset(WORDS)
