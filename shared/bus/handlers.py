"""What a service does with events: a table from event types to functions, grouped in lanes."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from shared.db import Tx
from shared.events.base import Caused, Event, Received, Topic

K = TypeVar("K")
S = TypeVar("S")
Batch = Sequence[Received[Any]]


class Fold(Protocol):
    """Applies events of its types to state, within the open transaction."""

    @property
    def types(self) -> Collection[type[Event]]:
        """The events it wants to see."""
        ...

    async def apply(self, tx: Tx, batch: Batch) -> Sequence[Caused]:
        """Apply `batch`, in arrival order per key; the events it caused."""
        ...


@dataclass(frozen=True, kw_only=True)
class StateFold(Generic[K, S]):
    """Load all states of the batch, fold event after event in memory, save once.

    `load` locks the rows in id order and answers a state for every key, the default for one never
    seen. Each function of `on` is pure: (state, event) -> (state, caused events).
    """

    on: Mapping[type[Event], Callable[[S, Received[Any]], tuple[S, Sequence[Caused]]]]
    key: Callable[[Received[Any]], K | None]
    load: Callable[[Tx, Collection[K]], Awaitable[Mapping[K, S]]]
    save: Callable[[Tx, Mapping[K, S]], Awaitable[None]]

    @property
    def types(self) -> Collection[type[Event]]:
        return self.on.keys()

    async def apply(self, tx: Tx, batch: Batch) -> Sequence[Caused]:
        keyed = [(key, event) for event in batch if (key := self.key(event)) is not None]
        states = dict(await self.load(tx, {key for key, _ in keyed}))
        caused: list[Caused] = []
        for key, received in keyed:
            states[key], events = self.on[type(received.event)](states[key], received)
            caused.extend(events)
        await self.save(tx, states)
        return caused


@dataclass(frozen=True, kw_only=True)
class BatchFold:
    """For high volume: the whole batch is aggregated in memory and written set-wise."""

    on: Collection[type[Event]]
    handle: Callable[[Tx, Batch], Awaitable[Sequence[Caused]]]

    @property
    def types(self) -> Collection[type[Event]]:
        return self.on

    async def apply(self, tx: Tx, batch: Batch) -> Sequence[Caused]:
        return await self.handle(tx, batch)


async def apply_folds(folds: Sequence[Fold], tx: Tx, batch: Batch) -> list[Caused]:
    """Let every fold see the events it wants, in arrival order; all they caused."""
    caused: list[Caused] = []
    for fold in folds:
        types = fold.types
        if wanted := [received for received in batch if type(received.event) in types]:
            caused.extend(await fold.apply(tx, wanted))
    return caused


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Topics that one consumer loop reads in order, under its own group and offsets."""

    name: str
    topics: tuple[Topic, ...]
    folds: tuple[Fold, ...]
    waits_for: str | None = None  # name of the lane that must have no lag before this one reads
    keeps_ids: bool = False  # remember event ids for ever, not for the window: the history lane
    # Behind a dead letter: False skips it (state that any order of its events leads to), True parks
    # what comes after it under the same key (a state machine that must not miss a step).
    parks_keys: bool = False

    @property
    def types(self) -> frozenset[type[Event]]:
        """All events that some fold of this lane wants."""
        return frozenset(event for fold in self.folds for event in fold.types)
