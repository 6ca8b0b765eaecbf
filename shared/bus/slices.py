"""A slice: consecutive records of some partitions, and the offsets that they cover."""

from collections.abc import Mapping, Sequence
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
        """Two slices that make up this one, the first to be applied first.

        A partition that has entries in both is cut behind its last entry of the first half.
        """
        middle = len(self.entries) // 2
        first, second = self.entries[:middle], self.entries[middle:]
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


def slice_of(
    fetched: Mapping[Partition, Sequence[Record]],
    positions: Mapping[Partition, int],
    decode: Decode,
) -> Slice | None:
    """The fetched records that continue `positions`, decoded; None when there are none.

    A span starts at our own position, not at the first record: compaction leaves holes.
    """
    spans: dict[Partition, Span] = {}
    entries: list[Entry] = []
    for partition, records in fetched.items():
        position = positions.get(partition)
        if position is None:
            continue
        new = [record for record in records if record.offset >= position]
        if new:
            spans[partition] = Span(position, new[-1].offset + 1)
            entries.extend(Entry(record, decode(record)) for record in new)
    return Slice(spans, entries) if spans else None
