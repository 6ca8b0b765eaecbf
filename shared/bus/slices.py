"""A slice: consecutive records of some partitions, and the offsets that they cover."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from shared.bus.record import Decode, Decoded, Malformed, Partition, Record
from shared.events.base import Received


class Span(NamedTuple):
    """The offsets of one partition that a slice covers: start <= offset < end."""

    start: int
    end: int


class Entry(NamedTuple):
    """A record and what it turned out to be."""

    record: Record
    decoded: Decoded

    @property
    def partition(self) -> Partition:
        """Where the record stands."""
        return Partition(self.record.topic, self.record.partition)


@dataclass(frozen=True)
class Slice:
    """What one transaction applies. Entries are in offset order within each partition."""

    spans: Mapping[Partition, Span]
    entries: Sequence[Entry]

    # `type(...) is`: a struct's isinstance is a Python call, and these look at every record.

    @cached_property
    def received(self) -> list[Received[Any]]:
        """The events among the entries, in order."""
        return [entry.decoded for entry in self.entries if type(entry.decoded) is Received]

    @cached_property
    def malformed(self) -> list[tuple[Record, Malformed]]:
        """The records among the entries that are no event of ours."""
        return [
            (entry.record, entry.decoded)
            for entry in self.entries
            if type(entry.decoded) is Malformed
        ]

    def halves(self) -> tuple["Slice", "Slice"]:
        """Two slices that make up this one, the first to be applied first."""
        return self.cut(len(self.entries) // 2)

    def cut(self, entries: int) -> tuple["Slice", "Slice"]:
        """The first so many entries, and the rest.

        A partition that has entries in both is cut behind its last entry of the first part.
        """
        first, second = self.entries[:entries], self.entries[entries:]
        cuts = {entry.partition: entry.record.offset + 1 for entry in first}
        later = {entry.partition for entry in second}
        heads = {
            partition: Span(self.spans[partition].start, cut)
            if partition in later
            else self.spans[partition]
            for partition, cut in cuts.items()
        }
        tails = {
            partition: Span(
                cuts.get(partition, self.spans[partition].start), self.spans[partition].end
            )
            for partition in later
        }
        return Slice(heads, first), Slice(tails, second)


def slices_of(
    fetched: Mapping[Partition, Sequence[Record]],
    positions: Mapping[Partition, int],
    decode: Decode,
    *,
    most_bytes: int,
) -> Iterator[Slice]:
    """The fetched records that continue `positions`, decoded, in slices of `most_bytes` or so.

    A span starts at our own position, not at the first record: compaction leaves holes. Lazily,
    because decoded records take several times the bytes that were fetched.
    """
    spans: dict[Partition, Span] = {}
    entries: list[Entry] = []
    room = most_bytes
    for partition, records in fetched.items():
        start = positions.get(partition)
        if start is None:
            continue
        for piece, size in _pieces(records, start, most_bytes):
            if entries and size > room:
                yield Slice(spans, entries)
                spans, entries, room = {}, [], most_bytes
            end = piece[-1].offset + 1
            spans[partition] = Span(spans[partition].start if partition in spans else start, end)
            entries.extend([Entry(record, decode(record)) for record in piece])
            start, room = end, room - size
    if spans:
        yield Slice(spans, entries)


def _pieces(
    records: Sequence[Record], start: int, most_bytes: int
) -> Iterator[tuple[Sequence[Record], int]]:
    """The records from offset `start` on, in pieces of `most_bytes` at most, and their bytes.

    A piece holds one record at least. As a rule there is one piece: to add up sizes record by
    record, as to decode, would be a good part of what a record costs.
    """
    first = next((n for n, record in enumerate(records) if record.offset >= start), None)
    if first is None:
        return
    piece = records[first:] if first else records
    size = sum([len(record.value or b"") for record in piece])
    if size <= most_bytes or len(piece) == 1:
        yield piece, size
        return
    middle = len(piece) // 2
    yield from _pieces(piece[:middle], start, most_bytes)
    yield from _pieces(piece[middle:], start, most_bytes)


def gaps_of(
    fetched: Mapping[Partition, Sequence[Record]], positions: Mapping[Partition, int]
) -> dict[Partition, int]:
    """The partitions whose records do not begin where we stand, and where they begin instead."""
    found: dict[Partition, int] = {}
    for partition, position in positions.items():
        records = fetched.get(partition)
        if records and records[0].offset > position:
            found[partition] = records[0].offset
    return found


class Gaps:
    """Tells holes from records that a reader has passed over.

    Compaction leaves holes. Both look alike once; a hole is still there when the partition is read
    again from exactly our place.
    """

    def __init__(self) -> None:
        self._placed: dict[Partition, int] = {}  # read again from our place, and the gap's end

    def doubtful(
        self, fetched: Mapping[Partition, Sequence[Record]], positions: Mapping[Partition, int]
    ) -> set[Partition]:
        """The partitions that have to be read again from our place before we go on.

        What was not fetched this time keeps its answer: busy neighbours often come first.
        """
        gaps = gaps_of(fetched, positions)
        doubtful = {p for p, begin in gaps.items() if self._placed.get(p) != begin}
        self.forget(fetched.keys())
        self._placed |= {partition: gaps[partition] for partition in doubtful}
        return doubtful

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Forget what was seen of partitions that are read from another place now."""
        for partition in partitions:
            self._placed.pop(partition, None)
