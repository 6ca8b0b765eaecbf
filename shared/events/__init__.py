"""Contracts between the services, a module per producing service. Declared once, used everywhere.

`TOPICS` and `EVENT_TYPES` are the registry: topic creation, decoding, docs and tests read them.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType

from shared.events import cadence, ingest, metrics, nps, runtime
from shared.events.base import Event, Topic

PRODUCERS: tuple[ModuleType, ...] = (ingest, cadence, metrics, nps)


def _declared_events() -> Iterator[type[Event]]:
    for module in PRODUCERS:
        for declared in vars(module).values():
            if (
                isinstance(declared, type)
                and issubclass(declared, Event)
                and "type" in vars(declared)
            ):
                yield declared
    yield from runtime.PROGRESSED.values()
    yield from runtime.DEAD_LETTERED.values()


def _declared_topics() -> Iterator[Topic]:
    for module in PRODUCERS:
        yield from (value for value in vars(module).values() if isinstance(value, Topic))
    yield from runtime.RUNTIME_TOPICS.values()


EVENT_TYPES: Mapping[str, type[Event]] = MappingProxyType(
    {event.type: event for event in _declared_events()}
)
TOPICS: Mapping[str, Topic] = MappingProxyType({topic.name: topic for topic in _declared_topics()})
