"""Groups events into requests: within the edge's limits, and in order for each account."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

MOST_EVENTS = 2_500  # of one request, as the edge counts
MOST_BODY_BYTES = 5 * 1024 * 1024 - 1024  # of one inflated body, with room for what surrounds it
MOST_EVENT_BYTES = 32 * 1024
# How far a row may be read past one that still waits for its batch to fill: what is not settled
# when an import is interrupted is sent again.
MOST_WAITING_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as JSON, and the row that it comes from."""

    row: int
    line: int
    message_id: str
    body: bytes


@dataclass(slots=True)
class Batch:
    """Entries of one lane, in the order of their rows."""

    lane: int
    entries: list[Entry] = field(default_factory=list)
    body_bytes: int = 0

    def has_room_for(self, entry: Entry) -> bool:
        """Whether the entry fits into the same request."""
        fits = self.body_bytes + len(entry.body) + 1 <= MOST_BODY_BYTES
        return fits and len(self.entries) < MOST_EVENTS

    def add(self, entry: Entry) -> None:
        """Take the entry."""
        self.entries.append(entry)
        self.body_bytes += len(entry.body) + 1


class Batcher:
    """Deals entries to lanes by account, so that a lane sent in order keeps every account's order.

    One request of a lane is in flight at a time; several lanes are, and that is the parallelism.
    """

    def __init__(self, lanes: int) -> None:
        self._open = [Batch(lane) for lane in range(lanes)]
        self._flushed_at_row = 0

    def add(self, account: str, entry: Entry) -> Iterator[Batch]:
        """Take an entry; the batches that are thereby due."""
        lane = crc32(account.encode()) % len(self._open)
        if not self._open[lane].has_room_for(entry):
            yield self._take(lane)
        self._open[lane].add(entry)
        if entry.row - self._flushed_at_row >= MOST_WAITING_ROWS:
            self._flushed_at_row = entry.row
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """All that is waiting, however little."""
        for lane, batch in enumerate(self._open):
            if batch.entries:
                yield self._take(lane)

    def _take(self, lane: int) -> Batch:
        batch, self._open[lane] = self._open[lane], Batch(lane)
        return batch
