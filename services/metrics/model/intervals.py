"""Record intervals: what was believed from when to when, so that every earlier answer stays."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Version(NamedTuple, Generic[K, V]):
    """All that is believed from `known_from` on, by key."""

    known_from: datetime
    values: Mapping[K, V]


class Believed(NamedTuple, Generic[K, V]):
    """A value that is believed from `known_from` to before `known_to` (None: still)."""

    key: K
    value: V
    known_from: datetime
    known_to: datetime | None


@dataclass(frozen=True, kw_only=True)
class Change(Generic[K, V]):
    """How rows that stand become those that are believed now.

    `removed` is empty unless facts came with record times older than what had been folded.
    """

    added: Sequence[Believed[K, V]]
    closed: Sequence[Believed[K, V]]
    removed: Sequence[Believed[K, V]]

    def __bool__(self) -> bool:
        return bool(self.added or self.closed or self.removed)


def change_to(kept: Sequence[Believed[K, V]], versions: Sequence[Version[K, V]]) -> Change[K, V]:
    """What changes in the `kept` rows when `versions`, by record time, take over from the first on.

    `kept` holds all rows that are believed at some time from the first version's on.
    """
    if not versions:
        return Change(added=(), closed=(), removed=())
    believed = _with_versions(_before(kept, versions[0].known_from), versions)
    stood = {(row.key, row.known_from): row for row in kept}
    stands = {(row.key, row.known_from): row for row in believed}
    return Change(
        added=[
            row
            for place, row in stands.items()
            if place not in stood or stood[place].value != row.value
        ],
        closed=[
            row
            for place, row in stands.items()
            if place in stood
            and stood[place].value == row.value
            and stood[place].known_to != row.known_to
        ],
        removed=[
            row
            for place, row in stood.items()
            if place not in stands or stands[place].value != row.value
        ],
    )


def _before(kept: Sequence[Believed[K, V]], at: datetime) -> dict[K, Believed[K, V]]:
    """What was believed just before `at`, open again."""
    return {row.key: row._replace(known_to=None) for row in kept if row.known_from < at}


def _with_versions(
    current: dict[K, Believed[K, V]], versions: Sequence[Version[K, V]]
) -> list[Believed[K, V]]:
    ended: list[Believed[K, V]] = []
    for known_from, values in versions:
        for key, row in list(current.items()):
            if key not in values or values[key] != row.value:
                ended.append(current.pop(key)._replace(known_to=known_from))
        for key, value in values.items():
            if key not in current:
                current[key] = Believed(key, value, known_from, None)
    return [*ended, *current.values()]


def believed_at(rows: Sequence[Believed[K, V]], at: datetime) -> dict[K, V]:
    """What was believed at `at`, by key."""
    return {
        row.key: row.value
        for row in rows
        if row.known_from <= at and (row.known_to is None or at < row.known_to)
    }
