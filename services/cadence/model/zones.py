"""Time zones: one pinned IANA database, the chain of who says a zone, and local times on odd days.

zoneinfo asks the machine's own database first, which may be years older than the package: zones
are therefore read from one directory that is named, and its version goes with every decision.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

DEFAULT_ZONE = "UTC"
VERSION_LINE = "# version "


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


@dataclass(frozen=True)
class Tzdata:
    """An IANA database: its version, as 2026f, and the directory of its compiled zones."""

    version: str
    directory: Path

    def knows(self, name: str) -> bool:
        """Whether the text is a zone of this database, links included; a directory is none."""
        return name in _names(self.directory)

    def zone(self, name: str) -> ZoneInfo:
        """The zone. Raises UnknownZone for a text that is none."""
        return _zone(self.directory, name)


class UnknownZone(ValueError):
    """A text that names no zone of the database."""


class NoDatabase(ValueError):
    """A directory that holds no IANA database, or does not say which one."""


def database_in(directory: Path) -> Tzdata:
    """The database of a directory, whose version its `tzdata.zi` says. Raises NoDatabase."""
    source = directory / "tzdata.zi"
    if not source.is_file():
        raise NoDatabase(f"{directory} holds no tzdata.zi")
    with source.open(encoding="utf-8") as file:
        first = file.readline().strip()
    if not first.startswith(VERSION_LINE):
        raise NoDatabase(f"{source} begins with {first!r}, not with its version")
    return Tzdata(first.removeprefix(VERSION_LINE), directory)


@cache
def packaged() -> Tzdata:
    """The database that Mainstay is shipped with: the package tzdata."""
    return database_in(Path(str(files("tzdata") / "zoneinfo")))


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


@cache
def _names(directory: Path) -> frozenset[str]:
    """Every file of the directory that is a compiled zone, named as IANA names it."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return frozenset(str(path.relative_to(directory)) for path in files if _is_compiled(path))


def _is_compiled(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"TZif"


@cache
def _zone(directory: Path, name: str) -> ZoneInfo:
    if name not in _names(directory):
        raise UnknownZone(f"{name!r} is no IANA zone")
    with (directory / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
