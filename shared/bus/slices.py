"""A slice: consecutive records of some partitions, and the offsets that they cover."""

from collections.abc import Iterator, Mapping, Sequence
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
    size = 0
    for partition, records in fetched.items():
        start = positions.get(partition)
        if start is None:
            continue
        for record in records:
            if record.offset < start:
                continue
            entries.append(Entry(record, decode(record)))
            size += len(record.value or b"")
            if size >= most_bytes:
                spans[partition] = Span(start, record.offset + 1)
                yield Slice(spans, entries)
                start, spans, entries, size = record.offset + 1, {}, [], 0
        last = records[-1].offset if records else -1
        if last >= start:
            spans[partition] = Span(start, last + 1)
    if spans:
        yield Slice(spans, entries)


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
