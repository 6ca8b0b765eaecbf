"""Which facts count: one per identity, and none that is void (P21, P22).

Every function takes the facts that are known: all of them for the latest view, those recorded up
to T for the view as of T. Order of arrival is no information.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

from shared.events.billing import AnyFact, Fact, Void

F = TypeVar("F", bound=Fact)
K = TypeVar("K")


class FactName(NamedTuple):
    """The identity of a fact (P22)."""

    source: str
    id: str


class Record(NamedTuple):
    """One time that a fact was recorded. `digest` stands for its content."""

    name: FactName
    digest: str
    recorded_at: datetime


class Judged(NamedTuple):
    """What of the records stands: `standing` is one per identity, in order of identity.

    `repeats` counts the records that said again what was said, `conflicts` those that first said
    something else under a name already taken.
    """

    standing: tuple[Record, ...]
    repeats: int
    conflicts: tuple[Record, ...]


def judged(records: Iterable[Record]) -> Judged:
    """The first recorded stands, a repeat is ignored, other content is a conflict (P22).

    `records` come in the order of the log: all of one request may be recorded at one instant, and
    then its first is the first. The log's order is the same in every rebuild.
    """
    ordered = sorted(records, key=lambda record: (record.name, record.recorded_at))
    standing: list[Record] = []
    conflicts: list[Record] = []
    said: set[str] = set()
    for record in ordered:
        if not standing or standing[-1].name != record.name:
            standing.append(record)
            said = {record.digest}
        elif record.digest not in said:
            conflicts.append(record)
            said.add(record.digest)
    repeats = len(ordered) - len(standing) - len(conflicts)
    return Judged(tuple(standing), repeats, tuple(conflicts))


def name_of(fact: Fact) -> FactName:
    """The identity of the fact."""
    return FactName(fact.source, fact.id)


def in_force(facts: Iterable[AnyFact]) -> list[AnyFact]:
    """The facts that no void removes, voids left out, in the order given (P22)."""
    known = list(facts)
    gone = voided(fact for fact in known if isinstance(fact, Void))
    return [fact for fact in known if not isinstance(fact, Void) and name_of(fact) not in gone]


def voided(voids: Iterable[Void]) -> frozenset[FactName]:
    """The identities that the voids remove.

    A void can be void too, by one recorded later: then its target counts again.
    """
    gone: set[FactName] = set()
    for void in sorted(voids, key=_record_order, reverse=True):
        if name_of(void) not in gone:
            gone.add(FactName(void.source, void.target))
    return frozenset(gone)


def last_recorded(facts: Iterable[F], key: Callable[[F], K]) -> dict[K, F]:
    """The last recorded fact of each key: rates and spend of a month are replaced by later ones."""
    return {key(fact): fact for fact in sorted(facts, key=_record_order)}


def _record_order(fact: Fact) -> tuple[datetime, FactName]:
    assert fact.recorded_at is not None, f"{fact.id} was never recorded"
    return (fact.recorded_at, name_of(fact))
