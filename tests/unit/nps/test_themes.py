"""Themes of comments, in Korean and English."""

import pytest

from services.nps.model.themes import UNAWARE, Suggestion, Theme, groups, suggest

BOOK = [
    Theme(theme="slow", keywords=("slow", "느리다")),
    Theme(theme="price", keywords=("expensive", "비싸다", "too much money")),
    Theme(theme="empty", keywords=("", "!")),
]
FEATURES = {"exports": ("export", "내보내기"), "search": ("search", "검색")}


@pytest.mark.parametrize(
    ("comment", "themes"),
    [
        ("It is SLOW.", ["slow"]),
        ("너무 느려요", ["slow"]),
        ("느린 편이고 비쌉니다", ["slow", "price"]),
        ("Expensive, and slow", ["slow", "price"]),
        ("too much. money", []),
        ("slowly but surely", []),
        ("", []),
        ("<script>alert(1)</script> \x00 \U0001f600", []),
    ],
)
def test_themes_of_a_comment(comment: str, themes: list[str]):
    assert [each.theme for each in suggest(comment, BOOK, FEATURES)] == themes


@pytest.mark.parametrize(
    "comment",
    [
        "I did not know that there are exports.",
        "I didn\u2019t know about the export!",
        "내보내기 기능이 있는 줄 몰랐어요",
        "I was not aware of exporting",
    ],
)
def test_somebody_who_did_not_know_a_feature_is_unaware_of_it(comment: str):
    assert suggest(comment, BOOK, FEATURES) == [Suggestion(theme=UNAWARE, feature="exports")]


@pytest.mark.parametrize(
    "comment",
    [
        "I use exports daily. I did not know your new address.",
        "I did not know what to say.",
        "내보내기를 매일 씁니다",
    ],
)
def test_a_feature_that_is_not_named_in_that_sentence_is_not_meant(comment: str):
    assert suggest(comment, BOOK, FEATURES) == []


def test_a_comment_of_a_megabyte_is_read_in_part():
    assert suggest("a " * 500_000 + "slow", BOOK, FEATURES) == []


def test_comments_that_are_alike_are_put_together_largest_first():
    found = groups(
        [
            "hello",
            "the search is slow",
            "검색이 느려요",
            "search was slow today",
            "검색이 너무 느려요",
            "검색 느림",
        ]
    )

    assert [each.comments for each in found] == [(2, 4, 5), (1, 3)]
    assert found[1].words == ("search", "slow")
