"""Time zones from the package tzdata.

zoneinfo alone would ask the machine's own database first, which may be years older.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

DEFAULT_ZONE = "UTC"
COMPILED = b"TZif"


class UnknownZone(ValueError):
    """A text that names no IANA zone."""


@cache
def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name, links included. Raises UnknownZone for another text."""
    directory = Path(str(files("tzdata") / "zoneinfo"))
    if name not in _names(directory):
        raise UnknownZone(f"{name!r} is no IANA zone")
    with (directory / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def zone_or_default(*names: str | None) -> ZoneInfo:
    """The first usable of the names, nearest to the person first; UTC where none is."""
    for name in names:
        if name is None:
            continue
        try:
            return zone_named(name)
        except UnknownZone:
            continue
    return zone_named(DEFAULT_ZONE)


@cache
def _names(directory: Path) -> frozenset[str]:
    """Listed, not asked for one by one: a name never becomes a path unless it is a zone."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return frozenset(str(path.relative_to(directory)) for path in found if _is_compiled(path))


def _is_compiled(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(COMPILED)) == COMPILED
