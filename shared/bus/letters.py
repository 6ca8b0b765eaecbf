"""What a slice gives up, as dead letters: decided here, pure, before anything is written.

Three kinds of record end so: what is no event of ours, what a fold refuses, and, in a lane that
parks, what waits behind an open dead letter of its key.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from shared.bus.record import Malformed
from shared.bus.retry import error_class, reason, sentence
from shared.bus.slices import Entry, Slice
from shared.bus.tables.dead_letters import PARKED, DeadLetter, dead_letter
from shared.events.base import Received


class Parted(NamedTuple):
    """A slice without its parked records, and the letters of all that is given up, in order."""

    rest: Slice
    letters: list[DeadLetter]


def letters_of_malformed(lane: str, batch: Slice) -> list[DeadLetter]:
    """The dead letters of the records that are no event of ours."""
    if not batch.malformed:  # as a rule; known without another look at every record
        return []
    return [_of_malformed(lane, entry) for entry in batch.entries if _is_malformed(entry)]


def without_parked(
    lane: str, batch: Slice, waiting: Mapping[bytes, str], *, decided: Collection[str] = ()
) -> Parted:
    """Part what is folded now from what has to wait, in a lane that parks.

    `waiting` names the first open dead letter of each key that has one. An event of such a key is
    parked, also when the letter before it comes of a malformed record in this very slice. An event
    that nobody here folds waits for nothing, and nothing waits for a letter that was `decided` on:
    in a rebuild that may be so before its record is read.
    """
    first = dict(waiting)
    kept: list[Entry] = []
    letters: list[DeadLetter] = []
    for entry in batch.entries:
        key = entry.record.key
        ahead = None if key is None else first.get(key)
        if ahead is not None and type(entry.decoded) is Received:
            letters.append(_of_parked(lane, entry, behind=ahead))
            continue
        kept.append(entry)
        if _is_malformed(entry):
            letter = _of_malformed(lane, entry, behind=ahead)
            letters.append(letter)
            if key is not None and letter.id not in decided:
                first.setdefault(key, letter.id)
    return Parted(Slice(batch.spans, kept), letters)


def refused(lane: str, entry: Entry, error: BaseException) -> DeadLetter:
    """The dead letter of a record that a fold refuses also when it stands alone."""
    return dead_letter(
        lane,
        entry.record,
        entry.decoded.envelope if isinstance(entry.decoded, Received) else None,
        code=reason(error),
        message=sentence(error),
        error_class=error_class(error),
    )


def keys_of(batch: Slice) -> set[bytes]:
    """The record keys of the events in the slice."""
    return {
        entry.record.key
        for entry in batch.entries
        if entry.record.key is not None and type(entry.decoded) is Received
    }


def _is_malformed(entry: Entry) -> bool:
    return type(entry.decoded) is Malformed


def _of_malformed(lane: str, entry: Entry, *, behind: str | None = None) -> DeadLetter:
    malformed = entry.decoded
    assert isinstance(malformed, Malformed)
    return dead_letter(
        lane,
        entry.record,
        malformed.envelope,
        code=malformed.code,
        message=malformed.message,
        behind=behind,
    )


def _of_parked(lane: str, entry: Entry, *, behind: str) -> DeadLetter:
    received = entry.decoded
    assert isinstance(received, Received)
    return dead_letter(
        lane,
        entry.record,
        received.envelope,
        code=PARKED,
        message=f"waits behind dead letter {behind} of the same key",
        behind=behind,
    )
