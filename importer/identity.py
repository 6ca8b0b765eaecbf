"""Message ids that depend on a row's content alone: the same row is the same event for ever."""

import sqlite3
from hashlib import blake2b
from typing import Any

import msgspec

from importer.mapping import Columns, Kind

CACHE_KIB = 16 * 1024  # what stays in memory of the counts; the rest lies in a temporary file


class Identities:
    """Gives each row of one file its message id.

    Two truly identical rows of a file are two events, so the second is told apart by its number
    among its likes. The counts spill to a temporary file that disappears with the process: a file
    of any size is counted in bounded memory.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind.encode()
        self._counts = sqlite3.connect("", isolation_level=None)
        for pragma in (f"cache_size = -{CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF"):
            self._counts.execute(f"PRAGMA {pragma}")
        self._counts.execute(
            "CREATE TABLE seen (digest BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID"
        )
        self._counts.execute("BEGIN")

    def message_id(self, columns: Columns) -> str:
        """The id of this row: its kind and content, and its number among identical rows."""
        digest = blake2b(_canonical(columns), key=self._kind, digest_size=16).digest()
        (times,) = self._counts.execute(
            "INSERT INTO seen VALUES (?, 1)"
            " ON CONFLICT (digest) DO UPDATE SET times = times + 1 RETURNING times",
            (digest,),
        ).fetchone()
        return f"import-{digest.hex()}" if times == 1 else f"import-{digest.hex()}-{times}"

    def close(self) -> None:
        """Forget the counts."""
        self._counts.close()


def _canonical(columns: Columns) -> bytes:
    """The row's content however its columns are ordered."""
    content: dict[str, Any] = dict(columns)
    return msgspec.json.encode(content, order="sorted")
