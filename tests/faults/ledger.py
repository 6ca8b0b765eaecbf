"""What a traffic run knows for sure: what it has sent, and what it was told 200 for."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Sent(NamedTuple):
    """An event that was handed to the edge at least once."""

    message_id: str
    account: str
    seq: int


class Outcome(NamedTuple):
    """What came of one request. `status` is 0 where no answer came."""

    at: float  # seconds since the epoch, when the answer came
    status: int
    seconds: float
    events: int
    account: str


@dataclass(frozen=True)
class Ledger:
    """The files of one run, in `directory`."""

    directory: Path

    @property
    def events_file(self) -> Path:
        """`S id account seq` before a send, `A id` after a 200, which counts once it is on disk."""
        return self.directory / "events.ledger"

    @property
    def outcomes_file(self) -> Path:
        """One JSON list a request."""
        return self.directory / "outcomes.jsonl"

    def sent(self) -> list[Sent]:
        """Everything that was ever sent, in order, each once."""
        lines = self._lines("S")
        found = (Sent(message_id, account, int(seq)) for message_id, account, seq in lines)
        return list(dict.fromkeys(found))

    def acknowledged(self) -> set[str]:
        """Ids that were told 200."""
        return {message_id for (message_id,) in self._lines("A")}

    def count_acknowledged(self) -> int:
        """How many lines say 200; cheap enough to be asked again and again."""
        if not self.events_file.exists():
            return 0
        return self.events_file.read_bytes().count(b"\nA ")

    def outcomes(self) -> list[Outcome]:
        """What came of each request, in the order of the answers."""
        if not self.outcomes_file.exists():
            return []
        whole = self.outcomes_file.read_text().rpartition("\n")[0]
        return [Outcome(*json.loads(line)) for line in whole.splitlines()]

    def served_since(self, at: float) -> set[str]:
        """Accounts of which a request that began after `at` was told 200."""
        return {o.account for o in self.outcomes() if o.status == 200 and o.at - o.seconds >= at}

    def slowest(self, status: int, *, since: float, until: float) -> float:
        """Most seconds that a request with that status took, of those answered in between."""
        found = [o.seconds for o in self.outcomes() if o.status == status and since < o.at < until]
        return max(found, default=0.0)

    def count(self, status: int, *, since: float = 0.0, until: float = float("inf")) -> int:
        """Requests with that status that were answered in between."""
        return sum(o.status == status and since <= o.at <= until for o in self.outcomes())

    def _lines(self, kind: str) -> list[list[str]]:
        if not self.events_file.exists():
            return []
        # What stands behind the last line end was cut off by a kill: it never counted.
        whole = self.events_file.read_text().rpartition("\n")[0]
        split = (line.split(" ") for line in whole.splitlines())
        return [words for first, *words in split if first == kind]


class LedgerWriter:
    """The pen of a traffic run."""

    def __init__(self, ledger: Ledger) -> None:
        ledger.directory.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._events = os.open(ledger.events_file, flags, 0o644)
        self._outcomes = os.open(ledger.outcomes_file, flags, 0o644)

    def sending(self, events: Iterable[Sent]) -> None:
        """Note what is about to be sent."""
        lines = [f"S {event.message_id} {event.account} {event.seq}\n" for event in events]
        os.write(self._events, "".join(lines).encode())

    def acknowledged(self, events: Iterable[Sent]) -> None:
        """Note what was told 200; returns when that is on disk."""
        os.write(self._events, "".join(f"A {event.message_id}\n" for event in events).encode())
        os.fdatasync(self._events)

    def outcome(self, outcome: Outcome) -> None:
        """Note what came of a request."""
        os.write(self._outcomes, (json.dumps(list(outcome)) + "\n").encode())
