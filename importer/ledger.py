"""What became of each row, settled in any order and counted strictly in the file's order."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from importer.state import Position, StateFile, Totals

REJECTS_HEADER = ("line", "code", "message", "message_id")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The edge has the event; `repeated` where it had it before."""

    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The row made no event, or the edge refused it."""

    line: int
    code: str
    message: str
    message_id: str = ""


Outcome = Accepted | Rejected
ACCEPTED = Accepted()
REPEATED = Accepted(repeated=True)


class Ledger:
    """Keeps the position, the totals and the rejects file together: all three always agree.

    Lanes settle rows in any order. A row counts only once every row before it is settled, so that
    an import that is interrupted goes on exactly there.
    """

    def __init__(self, position: Position, state: StateFile, rejects: Path) -> None:
        self.position = position
        self._state = state
        self._rejects_path = rejects
        self._waiting: dict[int, Outcome] = {}
        rejects.touch()
        self._rejects = rejects.open("r+", encoding="utf-8", newline="")
        self._rejects.truncate(position.rejects_bytes)
        self._rejects.seek(0, os.SEEK_END)
        self._writer = csv.writer(self._rejects)
        if position.rejects_bytes == 0:
            self._writer.writerow(REJECTS_HEADER)

    @property
    def waiting(self) -> int:
        """Rows that are settled while an earlier one is not."""
        return len(self._waiting)

    def settle(self, row: int, outcome: Outcome) -> None:
        """Note what became of a row, and count all rows that are now settled without gap."""
        self._waiting[row] = outcome
        next_row = self.position.rows + 1
        accepted = duplicates = rejected = 0
        while (settled := self._waiting.pop(next_row, None)) is not None:
            match settled:
                case Accepted(repeated=True):
                    duplicates += 1
                case Accepted():
                    accepted += 1
                case Rejected(line, code, message, message_id):
                    rejected += 1
                    self._writer.writerow((line, code, message, message_id))
            next_row += 1
        more = Totals(accepted=accepted, duplicates=duplicates, rejected=rejected)
        self.position = self.position.advanced(next_row - 1, more)

    def save(self) -> None:
        """Make the position durable, after the rejects that it counts."""
        self._rejects.flush()
        os.fsync(self._rejects.fileno())
        self.position = self.position.with_rejects(self._rejects.tell())
        self._state.save(self.position)

    def close(self) -> None:
        """Close the rejects file; one without rejects is removed."""
        self._rejects.close()
        if self.position.totals.rejected == 0:
            self._rejects_path.unlink(missing_ok=True)
