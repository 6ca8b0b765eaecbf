"""What a rebuild does with each table: copy it, carry it over, add to it, or compare it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.bus.handlers import Lane
from shared.service.rebuild.catalog import Table
from shared.service.rebuild.comparison import Relation
from shared.service.value import Service

OFFSETS = "consumer_offset"
LEASES = "lease"
LETTERS = "dead_letter"
AUDIT = "dead_letter_audit"
OUTBOX = "outbox"
# What operations have done and what waits to be published: no replay can know, nor should it.
CARRIED_OVER = (OFFSETS, LEASES, OUTBOX, LETTERS, AUDIT)

# Those that nobody has decided on: the others were applied after all, or left out on purpose.
OPEN_LETTERS = Relation(
    name=LETTERS,
    lines='SELECT ROW(t.lane, t.topic, t.part, t."offset", t.code)::text AS line'
    f" FROM {{schema}}.{LETTERS} t WHERE t.redriven_at IS NULL AND t.discarded_at IS NULL",
    meaning="lane, topic, part, offset, code",
)
NOT_WHOLE = ("inbox", "inbox_kept")


class UnknownTable(LookupError):
    """A service speaks of a table that its migrations do not make: a fault of the code."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What becomes of the tables of one service."""

    owned: tuple[Table, ...]
    """Truth that stands in no topic: copied from the live ones, in this order."""
    outliving: tuple[Table, ...]
    """Kept longer than their topics: what only the live ones still know is added."""
    folded: tuple[Table, ...]
    """All others: they have to be equal."""
    ids: Relation


def rules_of(service: Service, tables: Mapping[str, Table]) -> Rules:
    """The rules for the tables of `service`. Whatever nobody speaks of is folded and compared."""
    owned, outliving = service.owned_tables, service.outliving_tables
    if unknown := {*owned, *outliving} - tables.keys():
        raise UnknownTable(f"{service.name} has no table {', '.join(sorted(unknown))}")
    apart = {*CARRIED_OVER, *NOT_WHOLE, *owned, *outliving}
    return Rules(
        owned=tuple(tables[name] for name in owned),
        outliving=tuple(tables[name] for name in outliving),
        folded=tuple(table for name, table in tables.items() if name not in apart),
        ids=ids(shortest_days(service.lanes)),
    )


def shortest_days(lanes: Iterable[Lane]) -> int | None:
    """How many days the topic keeps that keeps the fewest; None where all keep for ever."""
    kept = [topic.retention_days for lane in lanes for topic in lane.topics]
    return min((days for days in kept if days is not None), default=None)


def ids(days: int | None) -> Relation:
    """The ids that were applied, those of the last `days` if given: older records may be gone.

    By id alone. How ids are put into blocks follows from the batches; and an event that came by two
    lanes is remembered by the lane that came first.
    """
    bound = "" if days is None else f" WHERE day > (now() AT TIME ZONE 'UTC')::date - {days}"
    return Relation(
        name="inbox",
        lines="SELECT DISTINCT encode(substring(b.ids FROM 1 + 16 * g.n FOR 16), 'hex') AS line"
        f" FROM (SELECT ids FROM {{schema}}.inbox{bound}"
        f" UNION ALL SELECT ids FROM {{schema}}.inbox_kept{bound}) AS b,"
        " generate_series(0, length(b.ids) / 16 - 1) AS g(n)",
        meaning="hash of workspace and event id",
    )
