"""Records that were given up, with the reason. They stay as the audit when redriven or discarded.

A letter is open until it is redriven or discarded. Its id follows from its place, so that whoever
gives the same record up again, after a lost reply or in a rebuild, names the same letter.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import uuid5

import msgspec
from sqlalchemy import text

from shared.bus.record import Record
from shared.db import Tx, rows
from shared.events.base import ID_NAMESPACE, Envelope
from shared.version import code_version

PARKED = "parked"  # the code of a record that has no fault of its own and waits behind one
MESSAGE_CHARACTERS = 2000
OPEN = "redriven_at IS NULL AND discarded_at IS NULL"


class LetterState(StrEnum):
    """What was decided about a letter."""

    OPEN = "open"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


class DeadLetter(NamedTuple):
    """A record that is given up, with the reason.

    `behind` is the first open letter of the same key, in a lane that parks.
    """

    id: str
    record: Record
    envelope: Envelope | None
    code: str
    message: str
    error_class: str | None = None
    behind: str | None = None


def dead_letter(
    lane: str,
    record: Record,
    envelope: Envelope | None,
    *,
    code: str,
    message: str,
    error_class: str | None = None,
    behind: str | None = None,
) -> DeadLetter:
    """The dead letter of `record` in `lane`. The message is cut at 2,000 characters."""
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return DeadLetter(
        str(uuid5(ID_NAMESPACE, f"dead letter {lane} {place}")),
        record,
        envelope,
        code,
        message[:MESSAGE_CHARACTERS],
        error_class,
        behind,
    )


async def append_dead_letters(tx: Tx, lane: str, letters: Sequence[DeadLetter]) -> None:
    """Keep records that are given up, in the transaction that passes their offset."""
    if not letters:
        return
    columns = _columns(letters)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, (kind, _) in columns.items())
    await tx.execute(
        text(
            "INSERT INTO dead_letter (lane, code_version, id, workspace, event_id, event_type,"
            ' topic, part, "offset", key, value, headers, appended_at, code, message, error_class,'
            " behind) SELECT :lane, :code_version, id, workspace, event_id, event_type, topic,"
            ' part, "offset", key, value, CAST(headers AS jsonb), appended_at, code, message,'
            f" error_class, behind FROM unnest({arrays}) AS u({', '.join(map(_quoted, columns))})"
            " ON CONFLICT DO NOTHING"
        ),
        {
            "lane": lane,
            "code_version": code_version(),
            **{name: values for name, (_, values) in columns.items()},
        },
    )


def _columns(letters: Sequence[DeadLetter]) -> dict[str, tuple[str, list[object]]]:
    """Type and values of each column, one value a letter."""
    records = [letter.record for letter in letters]
    envelopes = [letter.envelope for letter in letters]
    return {
        "id": ("uuid", [letter.id for letter in letters]),
        "workspace": ("text", [_workspace(letter) for letter in letters]),
        "event_id": ("text", [_storable(e.id) if e else None for e in envelopes]),
        "event_type": ("text", [_storable(e.type) if e else None for e in envelopes]),
        "topic": ("text", [record.topic for record in records]),
        "part": ("integer", [record.partition for record in records]),
        "offset": ("bigint", [record.offset for record in records]),
        "key": ("bytea", [record.key for record in records]),
        "value": ("bytea", [record.value for record in records]),
        "headers": ("text", [headers_json(record.headers) for record in records]),
        "appended_at": (
            "timestamptz",
            [datetime.fromtimestamp(record.timestamp / 1000, UTC) for record in records],
        ),
        "code": ("text", [letter.code for letter in letters]),
        "message": ("text", [_storable(letter.message) for letter in letters]),
        "error_class": ("text", [letter.error_class for letter in letters]),
        "behind": ("uuid", [letter.behind for letter in letters]),
    }


def _quoted(column: str) -> str:
    """`offset` is a word of SQL."""
    return f'"{column}"'


def _storable(said: str) -> str:
    """`said` as PostgreSQL takes it: it has no character 0."""
    return said.replace("\x00", "\ufffd")


def _workspace(letter: DeadLetter) -> str | None:
    """The workspace of a letter; that of a broken record is what its key begins with."""
    if letter.envelope is not None:
        return _storable(letter.envelope.workspace)
    key = (letter.record.key or b"").decode("utf-8", "replace")
    return _storable(key.partition("/")[0]) or None


def headers_json(headers: Sequence[tuple[str, bytes]]) -> str:
    """Headers as JSON pairs of name and text; bytes that are no text as base64, in third place."""
    pairs = [_header(_storable(name), value) for name, value in headers]
    return msgspec.json.encode(pairs).decode()


def headers_of(pairs: Sequence[Sequence[str | None]]) -> list[tuple[str, bytes]]:
    """The headers that `headers_json` told of, byte for byte."""
    return [
        (str(name), (said or "").encode() if not encoded else base64.b64decode(encoded[0] or ""))
        for name, said, *encoded in pairs
    ]


def _header(name: str, value: bytes) -> tuple[str | None, ...]:
    try:
        said = value.decode()
    except UnicodeDecodeError:
        said = "\x00"
    if "\x00" in said:
        return name, None, base64.b64encode(value).decode()
    return name, said


# --- parking -------------------------------------------------------------------------------------


async def list_parked_keys(tx: Tx, lane: str, keys: Collection[bytes]) -> Mapping[bytes, str]:
    """The first open letter of each of `keys` that has one in `lane`."""
    found = await rows(
        tx,
        "SELECT DISTINCT ON (key) key, id FROM dead_letter WHERE lane = :lane"
        " AND key = ANY(CAST(:keys AS bytea[]))"
        f" AND {OPEN}"
        ' ORDER BY key, behind IS NOT NULL, topic, part, "offset"',
        {"lane": lane, "keys": sorted(keys)},
    )
    return {bytes(row.key): str(row.id) for row in found}


async def is_behind_open(tx: Tx, letter: Any) -> bool:
    """Whether a letter before `letter` is open: of the same lane and key, or the one it names."""
    found = await rows(
        tx,
        "SELECT EXISTS (SELECT FROM dead_letter WHERE lane = :lane AND key = :key AND id <> :id"
        f" AND {OPEN} AND (id = :behind OR (topic = :topic AND part = :part"
        ' AND "offset" < :offset))) AS is_behind',
        {
            "lane": letter.lane,
            "key": letter.key,
            "id": letter.id,
            "behind": letter.behind,
            "topic": letter.topic,
            "part": letter.part,
            "offset": letter.offset,
        },
    )
    return bool(found[0].is_behind)


def state_of(letter: Any) -> LetterState:
    """What was decided about a letter that a query answered."""
    if letter.redriven_at is not None:
        return LetterState.REDRIVEN
    return LetterState.OPEN if letter.discarded_at is None else LetterState.DISCARDED


# --- reads ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which letters are meant; what is None does not matter. `since` <= dead_at < `until`."""

    code: str | None = None
    lane: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: LetterState | None = None

    def conditions(self) -> list[str]:
        """As SQL on the columns of dead_letter, with the names of `arguments`."""
        given = {
            "code = :code": self.code,
            "lane = :lane": self.lane,
            "event_type = :event_type": self.event_type,
            "dead_at >= :since": self.since,
            "dead_at < :until": self.until,
        }
        conditions = [condition for condition, value in given.items() if value is not None]
        match self.state:
            case LetterState.OPEN:
                conditions.append(OPEN)
            case LetterState.REDRIVEN:
                conditions.append("redriven_at IS NOT NULL")
            case LetterState.DISCARDED:
                conditions.append("discarded_at IS NOT NULL")
            case None:
                pass
        return conditions

    def arguments(self) -> dict[str, Any]:
        """The values of the conditions."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None and name != "state"
        }


class Place(NamedTuple):
    """Where an open letter stands in the order of a redrive: those that wait come last."""

    waits: bool
    topic: str
    part: int
    offset: int
    lane: str


SHOWN = (
    'id, workspace, event_id, event_type, lane, topic, part, "offset", key, headers, code, message,'
    " error_class, code_version, appended_at, dead_at, last_tried_at, behind, redriven_at,"
    " redriven_by, discarded_at, discarded_by, length(value) AS size_bytes"
)


async def list_dead_letters(
    tx: Tx,
    workspace: str | None,
    filters: Filters,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    shown_bytes: int,
) -> list[Any]:
    """Letters of a workspace (None: of all and of none), newest first, behind one if given.

    A record of more than `shown_bytes` is left out (`value` None).
    """
    conditions = filters.conditions()
    arguments = filters.arguments() | {"limit": limit, "shown_bytes": shown_bytes}
    if workspace is not None:
        conditions.append("workspace = :workspace")
        arguments["workspace"] = workspace
    if after is not None:
        conditions.append("(dead_at, id) < (:after_at, CAST(:after_id AS uuid))")
        arguments |= {"after_at": after[0], "after_id": after[1]}
    return await rows(
        tx,
        f"SELECT {SHOWN}, CASE WHEN length(value) <= :shown_bytes THEN value END AS value"
        f" FROM dead_letter{_where(conditions)} ORDER BY dead_at DESC, id DESC LIMIT :limit",
        arguments,
    )


async def get_dead_letter(tx: Tx, letter_id: str) -> Any | None:
    """One letter with its whole record; None when there is none."""
    found = await rows(
        tx,
        f"SELECT {SHOWN}, value FROM dead_letter WHERE id = CAST(:id AS uuid)",
        {"id": letter_id},
    )
    return found[0] if found else None


async def load_dead_letter(tx: Tx, letter_id: str) -> Any | None:
    """One letter with its whole record, locked; None when there is none."""
    found = await rows(
        tx,
        f"SELECT {SHOWN}, value FROM dead_letter WHERE id = CAST(:id AS uuid) FOR UPDATE",
        {"id": letter_id},
    )
    return found[0] if found else None


async def list_open_places(
    tx: Tx, workspace: str | None, filters: Filters, *, after: Place | None, limit: int
) -> list[tuple[Place, str]]:
    """Places and ids of the open letters of a workspace (None: of all), in the order to redrive.

    By topic, partition and offset; those that wait behind another come after all others.
    """
    conditions = [OPEN, *filters.conditions()]
    arguments = filters.arguments() | {"limit": limit}
    if workspace is not None:
        conditions.append("workspace = :workspace")
        arguments["workspace"] = workspace
    if after is not None:
        conditions.append(
            '(behind IS NOT NULL, topic, part, "offset", lane)'
            " > (:after_waits, :after_topic, :after_part, :after_offset, :after_lane)"
        )
        arguments |= {f"after_{name}": value for name, value in after._asdict().items()}
    return await _places(tx, f"{_where(conditions)}", arguments)


async def list_places(tx: Tx, ids: Sequence[str]) -> list[tuple[Place, str]]:
    """Places and ids of these letters, open or not, in the order to redrive."""
    arguments = {"ids": list(ids), "limit": len(ids)}
    return await _places(tx, " WHERE id = ANY(CAST(:ids AS uuid[]))", arguments)


async def _places(tx: Tx, where: str, arguments: Mapping[str, Any]) -> list[tuple[Place, str]]:
    found = await rows(
        tx,
        'SELECT behind IS NOT NULL AS waits, topic, part, "offset", lane, id FROM dead_letter'
        f'{where} ORDER BY waits, topic, part, "offset", lane LIMIT :limit',
        arguments,
    )
    return [
        (Place(row.waits, row.topic, row.part, row.offset, row.lane), str(row.id)) for row in found
    ]


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


# --- decisions -----------------------------------------------------------------------------------


async def save_redriven(tx: Tx, letter_id: str, *, by: str) -> None:
    """Note that a letter was applied after all, when and by whom."""
    await tx.execute(
        text(
            "UPDATE dead_letter SET redriven_at = now(), redriven_by = :by, last_tried_at = now()"
            " WHERE id = CAST(:id AS uuid)"
        ),
        {"id": letter_id, "by": by},
    )


async def save_tried(tx: Tx, letter_id: str) -> None:
    """Note that a letter was tried and is still broken."""
    await tx.execute(
        text("UPDATE dead_letter SET last_tried_at = now() WHERE id = CAST(:id AS uuid)"),
        {"id": letter_id},
    )


async def save_discarded(tx: Tx, letter_id: str, *, by: str) -> None:
    """Note that a letter shall never be applied, since when and by whose word."""
    await tx.execute(
        text(
            "UPDATE dead_letter SET discarded_at = now(), discarded_by = :by"
            " WHERE id = CAST(:id AS uuid)"
        ),
        {"id": letter_id, "by": by},
    )


async def append_audit(
    tx: Tx, letter: Any, *, by: str, action: str, outcome: str, message: str | None
) -> None:
    """Write down who did what about a letter, and what came of it."""
    await tx.execute(
        text(
            "INSERT INTO dead_letter_audit (by, action, workspace, dead_letter, outcome, message)"
            " VALUES (:by, :action, :workspace, :letter, :outcome, :message)"
        ),
        {
            "by": by,
            "action": action,
            "workspace": letter.workspace,
            "letter": letter.id,
            "outcome": outcome,
            "message": None if message is None else _storable(message)[:MESSAGE_CHARACTERS],
        },
    )


async def list_audit(
    tx: Tx, workspace: str | None, *, letter_id: str | None, after: int | None, limit: int
) -> list[Any]:
    """What was done about the letters of a workspace (None: of all), newest first."""
    given = {
        "workspace = :workspace": ("workspace", workspace),
        "dead_letter = CAST(:letter_id AS uuid)": ("letter_id", letter_id),
        "id < :after": ("after", after),
    }
    wanted = {condition: pair for condition, pair in given.items() if pair[1] is not None}
    return await rows(
        tx,
        "SELECT id, at, by, action, workspace, dead_letter, outcome, message"
        f" FROM dead_letter_audit{_where(list(wanted))} ORDER BY id DESC LIMIT :limit",
        dict(wanted.values()) | {"limit": limit},
    )
