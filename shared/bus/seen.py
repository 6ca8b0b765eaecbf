"""Which ids are known to be applied: a cache of the inbox in memory, 16 bytes an id, exact.

The inbox keeps ids as blocks, one a batch, because a unique index costs more than all the rest of
a batch. What an index would answer, sorted runs in memory answer here; the database stays the
truth: a cache that is lost, too old or of another table is read again.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

ID_BYTES = 16

Half = NDArray[np.uint64]


def inbox_id(workspace: str, event_id: str) -> bytes:
    """16 bytes that stand for an event id within its workspace."""
    return blake2b(f"{workspace} {event_id}".encode(), digest_size=ID_BYTES).digest()


class Ids:
    """Ids as two columns of 8 bytes each: what numpy compares quickly."""

    __slots__ = ("high", "low")

    def __init__(self, high: Half, low: Half) -> None:
        self.high = high
        self.low = low

    @classmethod
    def of(cls, block: bytes) -> "Ids":
        """The ids of a block, in its order."""
        columns = np.frombuffer(block, dtype=">u8").astype(np.uint64).reshape(-1, 2)
        return cls(columns[:, 0].copy(), columns[:, 1].copy())

    def __len__(self) -> int:
        return len(self.high)

    def sorted(self) -> "Ids":
        """The same ids in order of their first half. Stable: of two sorted runs it is a merge."""
        order = np.argsort(self.high, kind="stable")
        return Ids(self.high[order], self.low[order])

    def joined(self, other: "Ids") -> "Ids":
        """Both, sorted."""
        return Ids(
            np.concatenate((self.high, other.high)), np.concatenate((self.low, other.low))
        ).sorted()

    def found_in(self, run: "Ids") -> NDArray[np.bool_]:
        """For each of these ids, whether the sorted `run` holds it. Compares all 16 bytes."""
        found = np.zeros(len(self), dtype=np.bool_)
        places = np.searchsorted(run.high, self.high)
        while True:
            inside = places < len(run)
            at = np.where(inside, places, 0)
            alike = inside & ~found & (run.high[at] == self.high)
            if not alike.any():
                return found
            found |= alike & (run.low[at] == self.low)
            places = places + 1  # two ids may share their first half, once in centuries


class IdSet:
    """Many ids. Runs at least halve in size from one to the next, so that there are few."""

    def __init__(self) -> None:
        self._runs: list[Ids] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, block: bytes) -> None:
        """Add the ids of a block."""
        run = Ids.of(block).sorted()
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = self._runs.pop().joined(run)
        self._runs.append(run)

    def holds(self, ids: Ids) -> NDArray[np.bool_]:
        """For each of `ids`, whether it is here."""
        found = np.zeros(len(ids), dtype=np.bool_)
        for run in self._runs:
            found |= ids.found_in(run)
        return found


class SeenDays:
    """The ids of one partition number, by the day of append, from `since` on.

    `last` is the highest block number read: blocks are numbered in the order of their commits,
    because whoever writes one holds the lock of the partition number.
    """

    def __init__(self) -> None:
        self.since = date.max
        self.last = 0
        self._days: dict[date, IdSet] = {}

    def __len__(self) -> int:
        return sum(map(len, self._days.values()))

    def add(self, day: date, number: int, block: bytes) -> None:
        """Add a block that was read from the inbox."""
        self._days.setdefault(day, IdSet()).add(block)
        self.last = max(self.last, number)

    def forget(self, *, before: date) -> None:
        """Drop the days before `before`; they are read again should anyone ask for them."""
        if before > self.since:
            self.since = before
            for day in [day for day in self._days if day < before]:
                del self._days[day]

    def holds(self, ids: Ids, *, since: date) -> NDArray[np.bool_]:
        """For each of `ids`, whether it was applied on day `since` or later."""
        found = np.zeros(len(ids), dtype=np.bool_)
        for day, known in self._days.items():
            if day >= since:
                found |= known.holds(ids)
        return found


class SeenIds:
    """What one lane remembers of the inbox, within a bound.

    `window` are the ids of live events, `kept` those of history. Whoever uses it reads the newer
    blocks first, within the transaction that claims.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most_ids = most_bytes // ID_BYTES
        self._table: int | None = None
        self.window: dict[int, SeenDays] = {}
        self.kept: dict[int, SeenDays] = {}

    def of_table(self, table: int) -> None:
        """Say which table is read from now on, by its OID; another than before empties the cache.

        A rebuild puts other tables in place, whose blocks have other numbers.
        """
        if table != self._table:
            self.clear()
            self._table = table

    def clear(self) -> None:
        """Forget everything."""
        self.window.clear()
        self.kept.clear()

    def keep_within_bounds(self, parts: Iterable[int]) -> None:
        """Forget partition numbers, those not just used (`parts`) first, until the rest fits."""
        for seen in (self.window, self.kept):
            for part in parts:
                if part in seen:
                    seen[part] = seen.pop(part)  # the newest stands last
        for seen in (self.kept, self.window):
            while seen and len(self) > self._most_ids:
                del seen[next(iter(seen))]

    def __len__(self) -> int:
        return sum(len(days) for seen in (self.window, self.kept) for days in seen.values())


def block_of(ids: Sequence[bytes]) -> bytes:
    """Ids as one block."""
    return b"".join(ids)
