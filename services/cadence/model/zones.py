"""Time zones: the chain of who says a zone, what a change of it means, and odd local times."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.zones import DEFAULT_ZONE, Tzdata


class ZoneSource(StrEnum):
    """Who said the zone; the nearest to the person comes first (2.2)."""

    USER = "user"
    ACCOUNT = "account"
    WORKSPACE = "workspace"
    DEFAULT = "default"


class ZoneKind(StrEnum):
    """Whether a person lives elsewhere now, or we only now know where the sign-up was (2.6)."""

    LEARNED = "learned"
    MOVED = "moved"


class Oddity(StrEnum):
    """What is odd about a local time: it does not exist that day, or it does twice."""

    GAP = "gap"
    OVERLAP = "overlap"


class Resolved(NamedTuple):
    """The instant that a local time stands for, in UTC, and what was odd about it."""

    instant: datetime
    oddity: Oddity | None


@dataclass(frozen=True, kw_only=True)
class ZoneChain:
    """The zone as each may have said it, unchecked text; None where nobody said one."""

    user: str | None = None
    account: str | None = None
    workspace: str | None = None


def zone_of(chain: ZoneChain, database: Tzdata) -> tuple[str, ZoneSource]:
    """The first usable zone of the chain, and who said it; UTC by default (2.2)."""
    for said, source in (
        (chain.user, ZoneSource.USER),
        (chain.account, ZoneSource.ACCOUNT),
        (chain.workspace, ZoneSource.WORKSPACE),
    ):
        if said is not None and database.knows(said):
            return said, source
    return DEFAULT_ZONE, ZoneSource.DEFAULT


def unusable(chain: ZoneChain, database: Tzdata) -> list[str]:
    """The texts of the chain that name no zone: skipped, and worth a line in the log."""
    said = (chain.user, chain.account, chain.workspace)
    return [text for text in said if text is not None and not database.knows(text)]


def kind_of_change(known: str | None, said: str, told: ZoneKind | None) -> ZoneKind | None:
    """What it means that a person's zone is now `said`; None where that changes nothing.

    A zone where none was known is learned, another than the known one is moved, unless it was
    told otherwise (events.md 4).
    """
    if said == known:
        return None
    if told is not None:
        return told
    return ZoneKind.LEARNED if known is None else ZoneKind.MOVED


def resolved(local: datetime, zone: ZoneInfo) -> Resolved:
    """The instant of a local time without zone (2.5).

    In a gap it is read with the offset before, so later by the gap's length; of a time that comes
    twice the first pass is meant. This is zoneinfo's fold=0 and RFC 5545's 3.3.5. (RFC 5545's
    3.3.10 would ignore times that do not exist; a message is not left out for that.)
    """
    first = local.replace(tzinfo=zone, fold=0)
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    instant = first.astimezone(UTC)
    if before == after:
        return Resolved(instant, None)
    return Resolved(instant, Oddity.GAP if before < after else Oddity.OVERLAP)
