"""Where an import stands, kept in a small file, so that an interrupted one goes on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What became of the rows so far."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0

    @property
    def sent(self) -> int:
        """Rows that are settled, whatever became of them."""
        return self.accepted + self.duplicates + self.rejected

    def plus(self, other: "Totals") -> "Totals":
        """Both together."""
        return Totals(
            accepted=self.accepted + other.accepted,
            duplicates=self.duplicates + other.duplicates,
            rejected=self.rejected + other.rejected,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Every row up to `rows` is settled; `totals` say how those ended."""

    fingerprint: str
    rows: int = 0
    totals: Totals = Totals()
    rejects_bytes: int = 0
    """Length of the rejects file that tells of exactly these rows."""

    def advanced(self, rows: int, more: Totals) -> "Position":
        """After every row up to `rows` is settled, the new ones as `more` says."""
        return replace(self, rows=rows, totals=self.totals.plus(more))

    def with_rejects(self, rejects_bytes: int) -> "Position":
        """With that much of the rejects file written."""
        return replace(self, rejects_bytes=rejects_bytes)


class StateFile:
    """The file beside the input (or in the folder of `--state`) that holds a Position."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, fingerprint: str) -> Position:
        """Where the import with this fingerprint stopped; the start for one never seen.

        A file that another import wrote, or that is damaged, counts as none: everything is sent
        again, and the edge knows the repeats.
        """
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=Position)
        except (FileNotFoundError, msgspec.MsgspecError):
            return Position(fingerprint=fingerprint)
        return found if found.fingerprint == fingerprint else Position(fingerprint=fingerprint)

    def save(self, position: Position) -> None:
        """Replace the file in one step: a crash leaves the old one or the new one."""
        draft = self.path.with_name(f"{self.path.name}.draft")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(position))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def forget(self) -> None:
        """The import is through: the next run begins anew."""
        self.path.unlink(missing_ok=True)


def fingerprint(path: Path, settings: Mapping[str, Any]) -> str:
    """Tells one import from another: the file as it lies there, and all that decides its events."""
    stat = path.stat()
    described = {"size": stat.st_size, "modified_ns": stat.st_mtime_ns, **settings}
    return blake2b(msgspec.json.encode(described, order="sorted"), digest_size=16).hexdigest()


def folder_for(path: Path, asked: Path | None) -> Path:
    """Where state and rejects of `path` lie: as asked, else beside it, else where we are.

    A folder without write permission is left alone, also when we could write there as root.
    """
    if asked is not None:
        asked.mkdir(parents=True, exist_ok=True)
        return asked
    beside = path.resolve().parent
    writable = os.access(beside, os.W_OK) and beside.stat().st_mode & 0o222
    return beside if writable else Path.cwd()
