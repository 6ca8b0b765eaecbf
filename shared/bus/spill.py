"""What the edge's writer asks of a place on disk that holds events while Kafka cannot.

The writer knows no files: whoever runs it brings an implementation, or none.
"""

from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from shared.errors import TransientError

Place = tuple[str, int]
"""Topic and partition."""

Kept = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""A record as it has to stand in Kafka: key, value, headers."""


class SpillRefused(TransientError):
    """The spill cannot take or give events now: it is full, or its disk fails."""

    code = "spill_refused"


class Spill(Protocol):
    """Records that wait for Kafka, in order per place, surviving any crash."""

    def append(self, place: Place, records: Sequence[Kept]) -> Awaitable[None]:
        """Add to the end of a place; the answer ends once they are durable.

        They count as pending from this call on. Raises SpillRefused, in the answer too.
        """
        ...

    def pending(self, place: Place) -> int:
        """How many records of the place have been appended and not dropped."""
        ...

    def places(self) -> Collection[Place]:
        """The places with pending records."""
        ...

    async def read(self, place: Place, *, max_bytes: int) -> Sequence[Kept]:
        """The oldest durable records of a place, at most about `max_bytes`, and at least one.

        Empty where none is durable yet. Raises SpillRefused.
        """
        ...

    async def drop(self, place: Place, count: int) -> None:
        """Forget the oldest `count` of the records last read: Kafka has them."""
        ...

    def why_not(self) -> str | None:
        """Why nothing more can be taken now; None while there is room."""
        ...
