"""Reads CSV and NDJSON, plain or gzip, row by row; a damaged row is told, never fatal."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import msgspec

from importer.errors import Unreadable

GZIP_MAGIC = b"\x1f\x8b"
# An event holds 32 KiB at most; a row may carry columns that are not sent, but not without bound.
MOST_ROW_BYTES = 1024 * 1024


class Format(StrEnum):
    """How the rows are written."""

    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class Row:
    """A row as read. `number` counts rows from 1, `line` is where it ends in the file."""

    number: int
    line: int
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row that cannot be read, and why."""

    number: int
    line: int
    code: str
    message: str


class Source:
    """One input file, read once from top to bottom. `position_bytes` counts the file's own bytes.

    Usable as a context manager. Raises Unreadable for a file that is missing, damaged or empty.
    """

    def __init__(self, path: Path, file_format: Format | None = None) -> None:
        self.path = path
        self.format = file_format or format_of(path)
        try:
            self._file = path.open("rb")
            self.size_bytes = path.stat().st_size
            self._bytes = self._inflated()
        except OSError as error:
            raise Unreadable(f"cannot read {path}: {error.strerror or error}") from error
        self.columns: Sequence[str] | None = None
        if self.format is Format.CSV:
            self._text = io.TextIOWrapper(
                self._bytes, encoding="utf-8-sig", errors="surrogateescape", newline=""
            )
            csv.field_size_limit(MOST_ROW_BYTES)
            self._csv = csv.reader(self._text)
            self.columns = self._header()

    @property
    def position_bytes(self) -> int:
        """How far the file is read, in bytes of the file as it lies on disk."""
        return self._file.tell()

    def rows(self) -> Iterator[Row | DamagedRow]:
        """All rows in order; empty lines are skipped. Raises Unreadable where the file breaks."""
        try:
            match self.format:
                case Format.CSV:
                    yield from self._csv_rows()
                case Format.NDJSON:
                    yield from self._ndjson_rows()
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"{self.path} is damaged: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _inflated(self) -> BinaryIO:
        magic = self._file.read(len(GZIP_MAGIC))
        self._file.seek(0)
        if magic == GZIP_MAGIC:
            return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=self._file)))
        return self._file

    def _header(self) -> Sequence[str]:
        try:
            names = next(self._csv, [])
        except (csv.Error, OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"{self.path} has no readable header: {error}") from error
        if not any(names):
            raise Unreadable(f"{self.path} is empty: a CSV file begins with its column names")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise Unreadable(f"{self.path} has two columns named {twice[0]!r}")
        return names

    def _csv_rows(self) -> Iterator[Row | DamagedRow]:
        assert self.columns is not None
        number = 0
        while True:
            try:
                cells = next(self._csv, None)
            except csv.Error as error:
                number += 1
                yield DamagedRow(number, self._csv.line_num, "malformed_row", str(error))
                continue
            if cells is None:
                return
            if cells:
                number += 1
                yield self._csv_row(number, cells)

    def _csv_row(self, number: int, cells: Sequence[str]) -> Row | DamagedRow:
        assert self.columns is not None
        line = self._csv.line_num
        if len(cells) != len(self.columns):
            message = f"{len(cells)} cells under {len(self.columns)} column names"
            return DamagedRow(number, line, "wrong_column_count", message)
        if not all(cell.isascii() or _is_unicode(cell) for cell in cells):
            return DamagedRow(number, line, "invalid_encoding", "the row is not UTF-8")
        return Row(number, line, dict(zip(self.columns, cells, strict=True)))

    def _ndjson_rows(self) -> Iterator[Row | DamagedRow]:
        number = 0
        for line, text in enumerate(_lines(self._bytes), start=1):
            if text is None:
                number += 1
                message = f"the line is longer than {MOST_ROW_BYTES} bytes"
                yield DamagedRow(number, line, "row_too_large", message)
            elif text.strip():
                number += 1
                yield _ndjson_row(number, line, text)


def format_of(path: Path) -> Format:
    """The format that a file's name tells. Raises Unreadable when it tells none."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv.csv")):
        return Format.CSV
    if name.endswith((".ndjson", ".jsonl", ".json")):
        return Format.NDJSON
    raise Unreadable(f"cannot tell the format of {path}: say --format csv or --format ndjson")


def _ndjson_row(number: int, line: int, text: bytes) -> Row | DamagedRow:
    try:
        columns = msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return DamagedRow(number, line, "invalid_json", str(error))
    if not isinstance(columns, dict):
        return DamagedRow(number, line, "invalid_json", "the line is no JSON object")
    return Row(number, line, columns)


def _lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Lines without bound on their number, but on their length: None for one that is too long."""
    while text := stream.readline(MOST_ROW_BYTES + 1):
        if len(text) <= MOST_ROW_BYTES:
            yield text
            continue
        while text and not text.endswith(b"\n"):
            text = stream.readline(MOST_ROW_BYTES)
        yield None


def _is_unicode(cell: str) -> bool:
    """Whether no byte of the cell had to be escaped while it was decoded."""
    return not any("\udc80" <= letter <= "\udcff" for letter in cell)
