"""What becomes of a dead letter that somebody decides about: verdicts, and refusals to try."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from shared.bus.tables import Place
from shared.errors import DomainError


class DeadLetterUnknown(DomainError):
    """No such dead letter here, or it is another workspace's."""

    code: ClassVar[str] = "dead_letter_unknown"
    status: ClassVar[int] = 404


class AlreadyRedriven(DomainError):
    """It was applied before; applying it again would change nothing."""

    code: ClassVar[str] = "already_redriven"


class AlreadyDiscarded(DomainError):
    """Somebody decided that it shall never be applied."""

    code: ClassVar[str] = "already_discarded"


class EarlierLetterOpen(DomainError):
    """It waits behind another letter of its key, which has to be redriven or discarded first."""

    code: ClassVar[str] = "earlier_letter_open"


class LaneGone(DomainError):
    """The lane that gave it up is no part of the code that runs now."""

    code: ClassVar[str] = "lane_gone"


class StillBroken(DomainError):
    """The code that runs now cannot apply it either."""

    code: ClassVar[str] = "still_broken"
    status: ClassVar[int] = 422


class Outcome(StrEnum):
    """What a redrive made of a letter."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"  # its event was applied meanwhile, under the same id
    STILL_BROKEN = "still_broken"
    REFUSED = "refused"  # not even tried: unknown, decided before, or behind an open letter


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one letter; code and message say why it was not applied."""

    id: str
    outcome: Outcome
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of several letters, in order; `after` is where the next run goes on."""

    verdicts: Sequence[Verdict]
    after: Place | None
