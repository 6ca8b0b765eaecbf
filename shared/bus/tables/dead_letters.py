"""Records that were given up, with the reason. They stay as the audit when redriven or discarded.

A letter is open until it is redriven or discarded. Its id follows from its place, so that whoever
gives the same record up again, after a lost reply or in a rebuild, names the same letter.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
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
WORKSPACE_CHARACTERS = 200  # more than one has; an index takes no text of any length
OPEN = "redriven_at IS NULL AND discarded_at IS NULL"


class LetterState(StrEnum):
    """What was decided about a letter."""

    OPEN = "open"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


class DeadLetter(NamedTuple):
    """A record that is given up, with the reason.

    `behind` is the open letter of the same key that it waits for, in a lane that parks.
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
        "event_id": ("text", [storable(e.id) if e else None for e in envelopes]),
        "event_type": ("text", [storable(e.type) if e else None for e in envelopes]),
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
        "message": ("text", [storable(letter.message) for letter in letters]),
        "error_class": ("text", [letter.error_class for letter in letters]),
        "behind": ("uuid", [letter.behind for letter in letters]),
    }


def _quoted(column: str) -> str:
    """`offset` is a word of SQL."""
    return f'"{column}"'


def storable(said: str) -> str:
    """`said` as PostgreSQL takes it: it has no character 0."""
    return said.replace("\x00", "\ufffd")


def _workspace(letter: DeadLetter) -> str | None:
    """The workspace of a letter; that of a broken record is what its key begins with."""
    if letter.envelope is not None:
        return storable(letter.envelope.workspace)[:WORKSPACE_CHARACTERS]
    key = (letter.record.key or b"").decode("utf-8", "replace")
    return storable(key.partition("/")[0])[:WORKSPACE_CHARACTERS] or None


def headers_json(headers: Sequence[tuple[str, bytes]]) -> str:
    """Headers as JSON pairs of name and text; bytes that are no text as base64, in third place."""
    pairs = [_header(storable(name), value) for name, value in headers]
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


def state_of(letter: Any) -> LetterState:
    """What was decided about a letter that a query answered."""
    if letter.redriven_at is not None:
        return LetterState.REDRIVEN
    return LetterState.OPEN if letter.discarded_at is None else LetterState.DISCARDED


async def list_parked_keys(tx: Tx, lane: str, keys: Collection[bytes]) -> Mapping[bytes, str]:
    """An open letter of each of `keys` that has one in `lane`: the first by its place."""
    found = await rows(
        tx,
        "SELECT asked.key, first.id FROM unnest(CAST(:keys AS bytea[])) AS asked(key)"
        " CROSS JOIN LATERAL (SELECT id FROM dead_letter d WHERE d.lane = :lane"
        f" AND sha256(d.key) = sha256(asked.key) AND d.key = asked.key AND {OPEN}"
        ' ORDER BY topic, part, "offset" LIMIT 1) AS first',
        {"lane": lane, "keys": sorted(keys)},
    )
    return {bytes(row.key): str(row.id) for row in found}


async def list_decided(tx: Tx, letter_ids: Collection[str]) -> set[str]:
    """Those of the letters that are redriven or discarded already."""
    found = await rows(
        tx,
        f"SELECT id FROM dead_letter WHERE id = ANY(CAST(:ids AS uuid[])) AND NOT ({OPEN})",
        {"ids": sorted(letter_ids)},
    )
    return {str(row.id) for row in found}
