"""Whether anything was lost, doubled, mixed up or left behind: rules R1 to R9, from outside.

`gather` looks at the topics and the tables with its own SQL; `violations` is pure. Nothing here
imports a service or the runtime. R7 (every message is sent once) joins when there is a sender.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import asyncpg

from tests.faults import model, raw
from tests.faults.ledger import Ledger, Sent
from tests.faults.model import RawEvent, Rollups, Span
from tests.faults.raw import Place

USAGE = "ingest.usage.v1"
RAW_TOPICS = (USAGE, "ingest.usage.history.v1", "ingest.usage.overflow.v1")
NOTED = "metrics.toy.v1"
NOTED_TYPE = "metrics.noted.v1"
RUNTIME_TOPICS = ("health.runtime.v1", "metrics.runtime.v1")
ID_NAMESPACE = UUID("5f0c8f3e-3f0a-5d1c-9d2b-6d61696e7374")
SHOWN = 5


class Seen(NamedTuple):
    """A row of the toy, in the order in which they were written."""

    account: str
    event_id: str
    seq: int
    marker: str
    part: int
    offset: int


class Noted(NamedTuple):
    """An event that the toy caused, as it stands in its topic."""

    key: str
    id: str
    seq: int


class Violation(NamedTuple):
    """A rule that does not hold, and how."""

    rule: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything the rules look at, of one workspace (offsets and outboxes: of all)."""

    workspace: str
    sent: Sequence[Sent] = ()
    acknowledged: Collection[str] = ()
    raw: Sequence[RawEvent] = ()
    seen: Sequence[Seen] = ()
    tally: int = 0
    rollups: Rollups = field(default_factory=lambda: Rollups({}, {}, {}, {}))
    dead: Mapping[str, Collection[tuple[str, int, int]]] = field(default_factory=dict)
    """Database to (topic, partition, offset) of its dead letters of the live topic."""
    offsets: Mapping[tuple[str, str, Place], int] = field(default_factory=dict)
    """(database, group, partition) to the next offset."""
    ends: Mapping[Place, int] = field(default_factory=dict)
    outbox: Mapping[str, int] = field(default_factory=dict)
    noted: Sequence[Noted] = ()
    told: Mapping[tuple[str, Place], int] = field(default_factory=dict)
    """(service, partition) to the highest offset it told to have applied, as far as it told."""
    foreign: Sequence[str] = ()


@dataclass(frozen=True)
class Sources:
    """Where to look: Kafka, and each service's database by name."""

    bootstrap: str
    databases: Mapping[str, str]


# --- the rules -----------------------------------------------------------------------------------


def violations(found: Findings) -> list[Violation]:
    """Every rule that does not hold, in the order of the rules."""
    rules = (
        acknowledged_stand_in_the_topic,
        raw_events_are_applied_once,
        state_is_the_fold,
        offsets_are_at_the_end,
        every_record_is_accounted_for,
        order_holds_per_key,
        caused_events_stand_in_their_topic,
        workspaces_stay_apart,
    )
    return [violation for rule in rules for violation in rule(found)]


def acknowledged_stand_in_the_topic(found: Findings) -> Iterable[Violation]:
    """R1: whatever was told 200 is there; nothing is there that was never sent."""
    standing = {event.message_id for event in found.raw}
    if lost := sorted(set(found.acknowledged) - standing):
        yield Violation("R1", f"{len(lost)} acknowledged events lost: {lost[:SHOWN]}")
    if made_up := sorted(standing - {sent.message_id for sent in found.sent}):
        yield Violation("R1", f"{len(made_up)} events nobody sent: {made_up[:SHOWN]}")


def raw_events_are_applied_once(found: Findings) -> Iterable[Violation]:
    """R2: the ids in the topic are the ids that were applied, each once."""
    given_up = _given_up(found, "metrics")
    standing = {event.id for event in found.raw if _stand(event) not in given_up}
    applied = Counter(seen.event_id for seen in found.seen)
    if lost := sorted(standing - applied.keys()):
        yield Violation("R2", f"{len(lost)} events not applied: {lost[:SHOWN]}")
    if doubled := sorted(event_id for event_id, times in applied.items() if times > 1):
        yield Violation("R2", f"{len(doubled)} events applied twice: {doubled[:SHOWN]}")
    if made_up := sorted(applied.keys() - {event.id for event in found.raw}):
        yield Violation("R2", f"{len(made_up)} applied that are not there: {made_up[:SHOWN]}")
    if found.tally != applied.total():
        yield Violation("R2", f"the tally says {found.tally} instead of {applied.total()}")


def state_is_the_fold(found: Findings) -> Iterable[Violation]:
    """R3: health's tables are what the model makes of the raw topics."""
    given_up = _given_up(found, "health")
    kept = [event for event in found.raw if _stand(event) not in given_up]
    expected = model.fold(kept)
    for table in Rollups._fields:
        ours, theirs = getattr(expected, table), getattr(found.rollups, table)
        if (want := model.digest(ours)) != (have := model.digest(theirs)):
            rows = model.differences(ours, theirs)
            yield Violation("R3", f"{table}: {have} instead of {want}; {rows}")


def offsets_are_at_the_end(found: Findings) -> Iterable[Violation]:
    """R4: every group has read every partition to its end."""
    for (database, group, place), position in sorted(found.offsets.items()):
        if (end := found.ends.get(place)) != position:
            yield Violation("R4", f"{database} {group} {place}: {position}, log end {end}")


def every_record_is_accounted_for(found: Findings) -> Iterable[Violation]:
    """R4: each record of the live topic was applied, was a repeat, or is a dead letter; not two."""
    dead = _given_up(found, "metrics")
    live = [event for event in found.raw if event.topic == USAGE]
    where = {(USAGE, seen.part, seen.offset) for seen in found.seen}
    first = {_stand(event) for event in model.first_copies(live)}
    traced = where | dead
    # A repeat needs no trace of its own: its first copy has one.
    lost = [
        stand[1:] for event in live if (stand := _stand(event)) in first and stand not in traced
    ]
    if lost:
        yield Violation("R4", f"{len(lost)} records without a trace: {lost[:SHOWN]}")
    if both := sorted(where & dead):
        yield Violation("R4", f"{len(both)} records applied and dead: {both[:SHOWN]}")


def order_holds_per_key(found: Findings) -> Iterable[Violation]:
    """R5: an account's numbers come in order: first copies in the topic, applied, and caused."""
    first = [(e.key, e.seq) for e in model.first_copies(_in_log_order(found.raw))]
    noted: dict[str, tuple[str, int]] = {}
    for event in found.noted:
        noted.setdefault(event.id, (event.key, event.seq))
    roads = {
        "in the topic": first,
        "applied": [(seen.account, seen.seq) for seen in found.seen],
        "caused": list(noted.values()),
    }
    for road, numbers in roads.items():
        if broken := _out_of_order(numbers):
            yield Violation("R5", f"out of order {road}: {broken[:SHOWN]}")


def caused_events_stand_in_their_topic(found: Findings) -> Iterable[Violation]:
    """R6: what was applied caused its event, which stands in the topic; outboxes are empty."""
    expected = {str(uuid5(ID_NAMESPACE, f"{seen.event_id} {NOTED_TYPE} ")) for seen in found.seen}
    standing = {noted.id for noted in found.noted}
    if lost := sorted(expected - standing):
        yield Violation("R6", f"{len(lost)} caused events lost: {lost[:SHOWN]}")
    if made_up := sorted(standing - expected):
        yield Violation("R6", f"{len(made_up)} caused by nothing: {made_up[:SHOWN]}")
    for database, waiting in sorted(found.outbox.items()):
        if waiting:
            yield Violation("R6", f"{waiting} events wait in the outbox of {database}")
    for (service, place), told in sorted(found.told.items()):
        if told != found.ends.get(place):
            end = found.ends.get(place)
            yield Violation("R6", f"{service} told {told} of {place}, log end {end}")


def workspaces_stay_apart(found: Findings) -> Iterable[Violation]:
    """R8: no row names another workspace."""
    marked = [seen.event_id for seen in found.seen if seen.marker != found.workspace]
    for where in (*found.foreign, *marked[:SHOWN]):
        yield Violation("R8", f"a row of another workspace: {where}")


def _stand(event: RawEvent) -> tuple[str, int, int]:
    """Where an event stands."""
    return event.topic, event.partition, event.offset


def _given_up(found: Findings, database: str) -> set[tuple[str, int, int]]:
    return set(found.dead.get(database, ()))


def _in_log_order(events: Iterable[RawEvent]) -> list[RawEvent]:
    return sorted(events, key=lambda event: (event.topic, event.partition, event.offset))


def _out_of_order(numbers: Iterable[tuple[str, int]]) -> list[str]:
    last: dict[str, int] = {}
    broken = []
    for key, number in numbers:
        if number < last.get(key, -1):
            broken.append(f"{key}: {number} after {last[key]}")
        last[key] = max(number, last.get(key, -1))
    return broken


# --- looking -------------------------------------------------------------------------------------


async def gather(
    sources: Sources, workspace: str, ledger: Ledger, begins: Mapping[Place, int]
) -> Findings:
    """All there is about `workspace`, whose first record stands at or behind `begins`."""
    topics = (*RAW_TOPICS, NOTED, *RUNTIME_TOPICS)
    ends = await raw.topic_ends(sources.bootstrap, topics)
    records = await raw.read_between(sources.bootstrap, begins, ends)
    events = model.events_of((r for r in records if r.topic in RAW_TOPICS), workspace)
    noted = model.events_of((r for r in records if r.topic == NOTED), workspace)
    offsets = await all_offsets(sources)
    places = {place for _, _, place in offsets}
    return Findings(
        workspace=workspace,
        sent=ledger.sent(),
        acknowledged=ledger.acknowledged(),
        raw=events,
        seen=await _seen(sources, workspace),
        tally=await _tally(sources, workspace),
        rollups=await _rollups(sources, workspace),
        dead={name: await _dead(sources, name) for name in ("health", "metrics")},
        offsets=offsets,
        ends={**ends, **await raw.log_ends(sources.bootstrap, places)},
        outbox=await outboxes(sources),
        noted=[Noted(event.key, event.id, event.seq) for event in noted],
        told=_told(records),
        foreign=await _foreign(sources, workspace),
    )


async def all_offsets(sources: Sources) -> dict[tuple[str, str, Place], int]:
    """The next offset of every group and partition, in every database."""
    found: dict[tuple[str, str, Place], int] = {}
    for name in sources.databases:
        rows = await _query(
            sources, name, f"SELECT grp, topic, part, next_offset FROM {name}.consumer_offset"
        )
        found |= {(name, r["grp"], Place(r["topic"], r["part"])): r["next_offset"] for r in rows}
    return found


async def outboxes(sources: Sources) -> dict[str, int]:
    """How many events wait in each outbox."""
    return {
        name: (await _query(sources, name, f"SELECT count(*) AS n FROM {name}.outbox"))[0]["n"]
        for name in sources.databases
    }


async def _seen(sources: Sources, workspace: str) -> list[Seen]:
    rows = await _query(
        sources,
        "metrics",
        'SELECT account, event_id, seq, marker, part, "offset" FROM metrics.seen'
        " WHERE workspace = $1 ORDER BY n",
        workspace,
    )
    return [Seen(*row) for row in rows]


async def _tally(sources: Sources, workspace: str) -> int:
    sql = "SELECT coalesce(sum(events), 0) AS n FROM metrics.tally WHERE workspace = $1"
    return int((await _query(sources, "metrics", sql, workspace))[0]["n"])


async def _dead(sources: Sources, name: str) -> set[tuple[str, int, int]]:
    sql = f'SELECT topic, part, "offset" FROM {name}.dead_letter WHERE redriven_at IS NULL'
    return {tuple(row) for row in await _query(sources, name, sql)}


async def _rollups(sources: Sources, workspace: str) -> Rollups:
    account_day, user_day, feature_day = [
        await _query(
            sources,
            "health",
            f"SELECT a.account, d.* FROM health.{table} d JOIN health.account a"
            " ON a.workspace = d.workspace AND a.number = d.account WHERE d.workspace = $1",
            workspace,
        )
        for table in ("account_day", "user_day", "feature_day")
    ]
    return Rollups(
        account_day={(row[0], str(row["day"])): row["events"] for row in account_day},
        user_day={(r[0], str(r["day"]), r["user"]): r["events"] for r in user_day},
        feature_day={(r[0], str(r["day"]), r["feature"]): r["events"] for r in feature_day},
        account_span={
            model.span_key(
                row[0],
                str(row["day"]),
                Span(row["first_at"], row["last_at"], row["first_event"]),
            ): 1
            for row in account_day
        },
    )


async def _foreign(sources: Sources, workspace: str) -> list[str]:
    """Accounts of ours that stand in another workspace, and others' that stand in ours."""
    rows = await _query(
        sources,
        "health",
        "SELECT workspace, account FROM health.account"
        " WHERE (workspace = $1) <> starts_with(account, $1 || '-') LIMIT 5",
        workspace,
    )
    return [f"{row['workspace']}/{row['account']}" for row in rows]


def _told(records: Iterable[raw.RawRecord]) -> dict[tuple[str, Place], int]:
    """The highest offset that each service told of each partition of the live topic."""
    told: dict[tuple[str, Place], int] = {}
    for record in records:
        if record.topic in RUNTIME_TOPICS and record.value is not None:
            event = json.loads(record.value)
            data = event["data"]
            if event["type"].endswith(".progressed.v1") and data["topic"] == USAGE:
                key = event["type"].partition(".")[0], Place(USAGE, data["partition"])
                told[key] = max(told.get(key, 0), data["next_offset"])
    return told


async def _query(sources: Sources, name: str, sql: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(sources.databases[name], timeout=5)
    try:
        return list(await connection.fetch(sql, *arguments, timeout=30))
    finally:
        await connection.close(timeout=5)
