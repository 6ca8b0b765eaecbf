"""One pinned IANA database: the version that goes with a decision, and its zones by name.

zoneinfo asks the machine's own database first, which may be years older than the package: zones
are read from one directory that is named.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

DEFAULT_ZONE = "UTC"
VERSION_LINE = "# version "
COMPILED = b"TZif"


class UnknownZone(ValueError):
    """A text that names no zone of the database."""


class NoDatabase(ValueError):
    """A directory that holds no IANA database, or does not say which one."""


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


@cache
def _names(directory: Path) -> frozenset[str]:
    """Listed, not asked for one by one: a name never becomes a path unless it is a zone."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return frozenset(str(path.relative_to(directory)) for path in found if _is_compiled(path))


def _is_compiled(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(COMPILED)) == COMPILED


@cache
def _zone(directory: Path, name: str) -> ZoneInfo:
    if name not in _names(directory):
        raise UnknownZone(f"{name!r} is no IANA zone")
    with (directory / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
