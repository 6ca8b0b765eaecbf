"""How values are written on pages."""

from datetime import UTC, date, datetime

import pytest

from services.console.pages import ago, page, signed

NOW = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (datetime(2026, 11, 22, 0, 10, tzinfo=UTC), "today"),
        (datetime(2026, 11, 21, 23, 59, tzinfo=UTC), "yesterday"),
        (date(2026, 11, 20), "2 days ago"),
        (date(2026, 9, 23), "60 days ago"),
        (date(2026, 9, 22), "22 Sep 2026"),
        (datetime(2026, 11, 23, tzinfo=UTC), "today"),
    ],
)
def test_days_are_told_in_words_as_long_as_that_says_more(moment: date, words: str):
    assert ago(moment, NOW) == words


@pytest.mark.parametrize(
    ("points", "words"), [(4.4, "+4"), (-11.6, "\N{MINUS SIGN}12"), (0.4, "0"), (-0.4, "0")]
)
def test_points_bear_their_sign(points: float, words: str):
    assert signed(points) == words


def test_what_people_sent_is_escaped():
    body = page(
        "error.html",
        heading="<script>alert(1)</script>",
        message='"><img src=x onerror=alert(1)>',
        code="x",
        again="/accounts?text=%22%3E",
    ).body.decode()  # type: ignore[union-attr]

    assert "<script" not in body
    assert "<img" not in body
    assert "&lt;script&gt;" in body


def test_page_is_kept_by_no_cache():
    answer = page("error.html", heading="h", message="m", code="c", again=None)

    assert answer.headers["cache-control"] == "no-store"
