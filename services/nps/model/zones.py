"""Which zone a person lives in, of those that were said."""

from zoneinfo import ZoneInfo

from shared.zones import DEFAULT_ZONE, packaged


def zone_or_default(*names: str | None) -> ZoneInfo:
    """The first usable of the names, nearest to the person first; UTC where none is."""
    usable = (name for name in names if name is not None and packaged().knows(name))
    return packaged().zone(next(usable, DEFAULT_ZONE))
