"""One import from file to edge: read, map, batch, send, settle."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from importer.batches import MOST_EVENT_BYTES, Batch, Batcher, Entry
from importer.errors import ImportFault, Usage
from importer.identity import Identities
from importer.ledger import Ledger, Rejected
from importer.mapping import ColumnMapping, Unmappable
from importer.progress import ProgressView, Reading
from importer.sender import Edge, edge
from importer.source import DamagedRow, Format, Row, Source
from importer.state import StateFile, Totals, fingerprint, folder_for

SAVE_SECONDS = 1.0
# What one lane may hold beside its request in flight: the reader waits when it is full.
BATCHES_AHEAD = 1
ROWS_BETWEEN_PAUSES = 500  # the reader lets requests go on after so many rows


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to import, how to read it, and where it goes."""

    url: str
    key: str = field(repr=False)
    mapping: ColumnMapping
    format: Format | None = None
    state_folder: Path | None = None
    requests: int = 4
    give_up_seconds: float = 300.0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A file that is through."""

    totals: Totals
    seconds: float
    continued_at_row: int
    rejects: Path | None

    @property
    def events_per_second(self) -> float:
        """Rate of this run: rows that an earlier one had settled do not count."""
        return (self.totals.sent - self.continued_at_row) / max(self.seconds, 1e-6)


async def import_file(path: Path, plan: Plan, progress: ProgressView) -> Finished:
    """Send all of `path` that is not settled yet. Raises ImportFault; then it can be continued."""
    began_at = monotonic()
    with Source(path, plan.format) as source:
        mapping = checked_mapping(source, plan.mapping)
        folder = folder_for(path, plan.state_folder)
        state = StateFile(folder / f"{path.name}.import.json")
        rejects = folder / f"{path.name}.rejects.csv"
        position = state.load(fingerprint(path, _settings(plan, mapping)))
        if position.rows:
            progress.note(f"going on after row {position.rows:,}")
        with closing(Ledger(position, state, rejects)) as ledger:
            run = _Run(source, mapping, ledger, progress, lanes=plan.requests)
            try:
                await run.through(plan)
            finally:
                ledger.save()
            totals = ledger.position.totals
    state.forget()
    return Finished(
        totals=totals,
        seconds=monotonic() - began_at,
        continued_at_row=position.rows,
        rejects=rejects if totals.rejected else None,
    )


def checked_mapping(source: Source, mapping: ColumnMapping) -> ColumnMapping:
    """The mapping for the columns of `source`. Raises Usage where it cannot make events."""
    if foreign := mapping.foreign_targets():
        raise Usage(f"{mapping.kind} has no place for {', '.join(foreign)}")
    if source.columns is None:
        return mapping
    complete = mapping.for_columns(source.columns)
    if missing := complete.missing_columns(source.columns):
        known = ", ".join(source.columns)
        raise Usage(f"{source.path.name} has no column {', '.join(missing)}; it has {known}")
    if unfilled := complete.unfilled_targets():
        raise Usage(f"{mapping.kind} needs {', '.join(unfilled)}: --map TARGET=COLUMN")
    return complete


def entries(
    source: Source, mapping: ColumnMapping
) -> Iterator[tuple[str, Entry] | tuple[int, Rejected]]:
    """Each row as (account, entry), or as (row, rejection) where it makes no event."""
    with closing(Identities(mapping.kind)) as identities:
        for row in source.rows():
            if isinstance(row, DamagedRow):
                yield row.number, Rejected(row.line, row.code, row.message)
            else:
                yield _told(row, mapping, identities.message_id(row.columns))


def _told(
    row: Row, mapping: ColumnMapping, message_id: str
) -> tuple[str, Entry] | tuple[int, Rejected]:
    try:
        return _entry(row, mapping, message_id)
    except Unmappable as error:
        return row.number, Rejected(row.line, error.code, str(error), message_id)


def _entry(row: Row, mapping: ColumnMapping, message_id: str) -> tuple[str, Entry]:
    event = mapping.event(row.columns)
    event["messageId"] = message_id
    try:
        body = msgspec.json.encode(event)
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise Unmappable("invalid_value", str(error)) from error
    if len(body) > MOST_EVENT_BYTES:
        message = f"the event has {len(body)} bytes, more than {MOST_EVENT_BYTES}"
        raise Unmappable("event_too_large", message)
    return _order_key(event), Entry(row.number, row.line, message_id, body)


def _order_key(event: dict[str, Any]) -> str:
    """Whose order is kept: the account's, else the person's."""
    account = event.get("groupId") or event.get("context", {}).get("groupId")
    return str(account or event.get("userId") or event.get("anonymousId") or "")


def _settings(plan: Plan, mapping: ColumnMapping) -> dict[str, Any]:
    """All that decides which events a file becomes and where they go; the key by hash."""
    return {
        "url": plan.url,
        "key": sha256(plan.key.encode()).hexdigest(),
        "kind": mapping.kind,
        "time_unit": mapping.time_unit,
        "columns": dict(mapping.columns),
        "constants": dict(mapping.constants),
        "format": plan.format,
    }


class _Run:
    """The moving parts of one import: a reader that feeds lanes, and a sender for each lane."""

    def __init__(
        self,
        source: Source,
        mapping: ColumnMapping,
        ledger: Ledger,
        progress: ProgressView,
        *,
        lanes: int,
    ) -> None:
        self._source = source
        self._mapping = mapping
        self._ledger = ledger
        self._progress = progress
        self._lanes: list[asyncio.Queue[Batch | None]] = [
            asyncio.Queue(BATCHES_AHEAD) for _ in range(lanes)
        ]
        self._saved_at = monotonic()

    async def through(self, plan: Plan) -> None:
        """Read to the end and await every answer. Raises the first ImportFault met."""
        self._show()  # rate and time left are counted from here
        async with edge(
            plan.url,
            plan.key,
            requests=plan.requests,
            give_up_seconds=plan.give_up_seconds,
            note=self._progress.note,
        ) as sender:
            try:
                async with asyncio.TaskGroup() as group:
                    for lane in self._lanes:
                        group.create_task(self._send(lane, sender))
                    group.create_task(self._feed())
            except* ImportFault as faults:
                raise faults.exceptions[0] from None

    async def _feed(self) -> None:
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                await self._lanes[batch.lane].put(batch)
        for lane in self._lanes:
            await lane.put(None)

    async def _batches(self) -> AsyncGenerator[Batch]:
        """Batches of the rows that are not settled yet, in the file's order for each account."""
        settled_before = self._ledger.position.rows
        batcher = Batcher(len(self._lanes))
        for count, (key, found) in enumerate(entries(self._source, self._mapping)):
            if count % ROWS_BETWEEN_PAUSES == 0:
                await asyncio.sleep(0)
            match key, found:
                case int(row), Rejected():
                    if row > settled_before:
                        self._ledger.settle(row, found)
                case str(account), Entry(row=row):
                    if row > settled_before:
                        for batch in batcher.add(account, found):
                            yield batch
        for batch in batcher.rest():
            yield batch

    async def _send(self, lane: asyncio.Queue[Batch | None], sender: Edge) -> None:
        while (batch := await lane.get()) is not None:
            for entry, outcome in zip(batch.entries, await sender.send(batch.entries), strict=True):
                self._ledger.settle(entry.row, outcome)
            self._show()

    def _show(self) -> None:
        totals = self._ledger.position.totals
        self._progress.update(
            Reading(self._source.position_bytes, self._source.size_bytes, totals.sent)
        )
        if monotonic() - self._saved_at >= SAVE_SECONDS:
            self._ledger.save()
            self._saved_at = monotonic()
