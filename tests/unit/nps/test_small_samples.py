"""What is shown of few answers, and when an arrow is drawn."""

import pytest

from services.nps.model.classes import Counts
from services.nps.model.comparison import Arrow, arrow, compare
from services.nps.model.small_samples import display
from services.nps.model.statistics import (
    finite_population_factor,
    holm,
    if_silent_were,
    summary,
)


@pytest.mark.parametrize(
    ("n", "named", "anonymous"),
    [
        (0, "counts_only", "hidden"),
        (4, "counts_only", "hidden"),
        (5, "flagged", "flagged"),
        (29, "flagged", "flagged"),
        (30, "whole", "whole"),
    ],
)
def test_how_much_is_shown(n: int, named: str, anonymous: str):
    assert display(n, anonymous=False) == named
    assert display(n, anonymous=True) == anonymous


@pytest.mark.parametrize(("n", "flagged"), [(29, True), (30, False)])
def test_fewer_than_30_answers_are_too_few(n: int, flagged: bool):  # noqa: FBT001
    assert summary(Counts(passive=n)).too_few is flagged


def test_no_arrow_is_drawn_on_noise():
    before = Counts(promoter=40, passive=40, detractor=20)
    better = Counts(promoter=70, passive=20, detractor=10)

    assert arrow(compare(before, better)) == Arrow.UP
    assert arrow(compare(better, before)) == Arrow.DOWN
    assert arrow(compare(before, before)) == Arrow.NONE
    assert arrow(compare(before, Counts())) == Arrow.NONE


def test_silence_bounds_the_score():
    found = if_silent_were(Counts(promoter=6, passive=2, detractor=2), population=40)

    assert found is not None
    assert (found.low, found.high) == (-65, 85)


def test_a_silent_wave_may_be_anything():
    found = if_silent_were(Counts(), population=7)

    assert found is not None
    assert (found.low, found.high) == (-100, 100)


def test_an_empty_wave_has_no_bounds():
    assert if_silent_were(Counts(), population=0) is None


def test_more_answers_than_people_are_refused():
    with pytest.raises(ValueError, match="2 answers of 1 people"):
        if_silent_were(Counts(passive=2), population=1)


def test_holm_keeps_the_order_given():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_nothing_is_left_open_once_everybody_has_answered():
    assert finite_population_factor(n=10, population=10) == 0
    assert finite_population_factor(n=1, population=10) == 1
