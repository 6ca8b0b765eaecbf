"""The breaker: a lane that gives up record after record stops, instead of draining a bad deploy."""

from shared.bus.record import Malformed
from shared.bus.slices import Slice
from shared.errors import MainstayError
from shared.events.base import Received


class LaneStopped(MainstayError):
    """The lane gave up more records in a row than a working deploy ever would."""

    code = "lane_stopped"


class Breaker:
    """Counts dead letters in a row; whatever is applied in between begins the count anew."""

    def __init__(self, lane: str, *, most_in_a_row: int) -> None:
        self._lane = lane
        self._most = most_in_a_row
        self._in_a_row = 0

    def allows(self, batch: Slice) -> int:
        """How many entries of `batch` may be applied before the lane has to stop: all, as a rule.

        Looks at what is known before anything is applied: the records that are no events of ours.
        """
        if not batch.malformed:
            return len(batch.entries)
        row = self._in_a_row
        for index, entry in enumerate(batch.entries):
            row = _row_after(row, entry.decoded)
            if row > self._most:
                return index + 1
        return len(batch.entries)

    def passed(self, batch: Slice) -> None:
        """Count a slice that is applied. Entries that nobody folds say nothing either way.

        Raises LaneStopped when its last record was one too many.
        """
        if batch.malformed:
            for entry in batch.entries:
                self._in_a_row = _row_after(self._in_a_row, entry.decoded)
            if self._in_a_row > self._most:
                self.trip()
        elif batch.received:
            self._in_a_row = 0

    def given_up(self) -> None:
        """Count a record that no fold could apply. Raises LaneStopped when it is one too many."""
        self._in_a_row += 1
        if self._in_a_row > self._most:
            self.trip()

    def trip(self) -> None:
        """Raises LaneStopped."""
        raise LaneStopped(f"{self._in_a_row} dead letters in a row in {self._lane}")


def _row_after(row: int, decoded: object) -> int:
    """The number of dead letters in a row behind one more entry."""
    if type(decoded) is Malformed:
        return row + 1
    return 0 if type(decoded) is Received else row
