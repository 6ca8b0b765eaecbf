"""What may be shown of few answers: nothing that points at a person, no score of a handful."""

from enum import StrEnum

from services.nps.model.statistics import COUNTS_ONLY_BELOW, FLAGGED_BELOW

HIDDEN_BELOW = 5  # answers in a cell of an anonymous wave


class Display(StrEnum):
    """How much of a score goes on a screen."""

    HIDDEN = "hidden"
    COUNTS_ONLY = "counts_only"
    FLAGGED = "flagged"
    WHOLE = "whole"


def display(n: int, *, anonymous: bool) -> Display:
    """What may be shown of n answers; an anonymous wave hides cells with fewer than five."""
    if anonymous and n < HIDDEN_BELOW:
        return Display.HIDDEN
    if n < COUNTS_ONLY_BELOW:
        return Display.COUNTS_ONLY
    return Display.FLAGGED if n < FLAGGED_BELOW else Display.WHOLE
