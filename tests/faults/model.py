"""The fold of use, written a second time and shared with nobody: what health's tables must say."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from tests.faults.raw import RawRecord


class RawEvent(NamedTuple):
    """An event as it stands in a raw topic."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    message_id: str
    workspace: str
    account: str
    user: str
    feature: str
    time: datetime
    seq: int
    marker: str


class Digest(NamedTuple):
    """Count, sum of the counters, and xor of the rows' hashes: a loss that a doubling makes up for
    changes the last.
    """

    rows: int
    total: int
    hashes: int


class Span(NamedTuple):
    """First and last instant of an account's day, and the id of the first event."""

    begin: datetime
    end: datetime
    first: str


Rows = Mapping[tuple[str, ...], int]


class Rollups(NamedTuple):
    """Events per key of each table, all keys as text."""

    account_day: Rows
    user_day: Rows
    feature_day: Rows
    account_span: Rows
    """One per account, day, first and last instant and first event: each 1."""


def event_of(record: RawRecord) -> RawEvent | None:
    """The event in a record; None where it is none."""
    try:
        told = json.loads(record.value or b"")
        return RawEvent(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=(record.key or b"").decode(),
            id=told["id"],
            message_id=told.get("messageid", ""),
            workspace=told["workspace"],
            account=told.get("subject", ""),
            user=told["data"].get("user", ""),
            feature=told["data"].get("feature", ""),
            time=instant(told["time"]),
            seq=_property(told, "seq", -1),
            marker=_property(told, "marker", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def events_of(records: Iterable[RawRecord], workspace: str) -> list[RawEvent]:
    """The events of one workspace, in the order of the records."""
    found = (event_of(record) for record in records)
    return [event for event in found if event is not None and event.workspace == workspace]


def first_copies(events: Iterable[RawEvent]) -> list[RawEvent]:
    """Each id once, as it came first."""
    first: dict[str, RawEvent] = {}
    for event in events:
        first.setdefault(event.id, event)
    return list(first.values())


def fold(events: Iterable[RawEvent]) -> Rollups:
    """What health must hold after these events, each counted once."""
    account_day: dict[tuple[str, ...], int] = {}
    user_day: dict[tuple[str, ...], int] = {}
    feature_day: dict[tuple[str, ...], int] = {}
    spans: dict[tuple[str, str], Span] = {}
    for event in first_copies(events):
        day = event.time.date().isoformat()
        _add(account_day, event.account, day)
        if event.user:
            _add(user_day, event.account, day, event.user)
        if event.feature:
            _add(feature_day, event.account, day, event.feature)
        known = spans.get((event.account, day), Span(event.time, event.time, event.id))
        begin, first = min((known.begin, known.first), (event.time, event.id))
        spans[event.account, day] = Span(begin, max(known.end, event.time), first)
    account_span = {span_key(account, day, span): 1 for (account, day), span in spans.items()}
    return Rollups(account_day, user_day, feature_day, account_span)


def span_key(account: str, day: str, span: Span) -> tuple[str, ...]:
    """How the first and the last event of a day are compared: as text, in UTC."""
    instants = (at.astimezone(UTC).isoformat() for at in (span.begin, span.end))
    return (account, day, *instants, span.first)


def digest(rows: Rows) -> Digest:
    """What two equal tables have in common."""
    hashes = 0
    for key, events in rows.items():
        words = json.dumps([*key, events]).encode()
        hashes ^= int.from_bytes(sha256(words).digest()[:16], "big")
    return Digest(len(rows), sum(rows.values()), hashes)


def differences(model: Rows, table: Rows, most: int = 5) -> list[str]:
    """The first rows in which a table and the model differ, in words."""
    keys = sorted(model.keys() | table.keys())
    return [
        f"{'/'.join(key)}: {table.get(key, 0)} instead of {model.get(key, 0)}"
        for key in keys
        if model.get(key) != table.get(key)
    ][:most]


def instant(text: str) -> datetime:
    """An RFC 3339 instant, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _add(rows: dict[tuple[str, ...], int], *key: str) -> None:
    rows[key] = rows.get(key, 0) + 1


def _property(told: Mapping[str, Any], name: str, default: Any) -> Any:
    """What the traffic put into an event, or the toy into the one it caused."""
    return {**told["data"], **(told["data"].get("properties") or {})}.get(name, default)
