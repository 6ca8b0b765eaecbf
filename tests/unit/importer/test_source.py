"""What is read from files, and what is said of damaged ones."""

import gzip
from pathlib import Path

import pytest

from importer.errors import Unreadable
from importer.source import MOST_ROW_BYTES, DamagedRow, Format, Row, Source, format_of


def rows_of(path: Path, content: bytes) -> list[Row | DamagedRow]:
    path.write_bytes(content)
    with Source(path) as source:
        return list(source.rows())


def columns_of(path: Path, content: bytes) -> list[dict[str, object]]:
    return [dict(row.columns) for row in rows_of(path, content) if isinstance(row, Row)]


def test_csv_rows_are_read_by_column_name(tmp_path: Path):
    rows = rows_of(tmp_path / "a.csv", b"ts,user\n1,ada\n2,bob\n")

    assert rows == [
        Row(1, 2, {"ts": "1", "user": "ada"}),
        Row(2, 3, {"ts": "2", "user": "bob"}),
    ]


def test_ndjson_rows_are_read_with_their_types_and_empty_lines_skipped(tmp_path: Path):
    rows = rows_of(tmp_path / "a.ndjson", b'{"ts":1}\n\n{"ts":2,"a":{"b":3}}')

    assert rows == [Row(1, 1, {"ts": 1}), Row(2, 3, {"ts": 2, "a": {"b": 3}})]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv"])
def test_gzip_is_known_by_its_first_bytes_not_by_its_name(tmp_path: Path, name: str):
    columns = columns_of(tmp_path / name, gzip.compress(b"ts\n1\n"))

    assert columns == [{"ts": "1"}]


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path):
    assert columns_of(tmp_path / "a.csv", b"\xef\xbb\xbfts\n1\n") == [{"ts": "1"}]
    assert columns_of(tmp_path / "a.ndjson", b'\xef\xbb\xbf{"ts":1}\n') == [{"ts": 1}]


def test_quoted_cell_may_hold_commas_and_line_ends(tmp_path: Path):
    rows = rows_of(tmp_path / "a.csv", b'ts,note\n1,"a, b\nc"\n2,d\n')

    assert [row.line for row in rows] == [3, 4]
    assert isinstance(rows[0], Row)
    assert rows[0].columns["note"] == "a, b\nc"


def test_damaged_rows_are_told_by_line_and_the_others_stand(tmp_path: Path):
    rows = rows_of(tmp_path / "a.csv", b"ts,user\n1\n2,bob\n3,\xff\n4,ada,x\n")

    assert [(row.line, getattr(row, "code", "read")) for row in rows] == [
        (2, "wrong_column_count"),
        (3, "read"),
        (4, "invalid_encoding"),
        (5, "wrong_column_count"),
    ]


def test_damaged_ndjson_lines_are_told_and_the_others_stand(tmp_path: Path):
    long_line = b'{"a":"' + b"x" * MOST_ROW_BYTES + b'"}'

    rows = rows_of(
        tmp_path / "a.ndjson", b'{"a":1}\n{"a":\n[1]\n' + long_line + b'\n{"a":2}\n{"a":"\xff"}\n'
    )

    assert [(row.line, getattr(row, "code", "read")) for row in rows] == [
        (1, "read"),
        (2, "invalid_json"),
        (3, "invalid_json"),
        (4, "row_too_large"),
        (5, "read"),
        (6, "invalid_json"),
    ]


def test_cell_without_end_is_told_as_a_malformed_row(tmp_path: Path):
    rows = rows_of(tmp_path / "a.csv", b'ts\n1\n"' + b"x" * (MOST_ROW_BYTES + 10))

    assert [getattr(row, "code", "read") for row in rows] == ["read", "malformed_row"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"\n\n", "is empty"), (b"a,a\n1,2\n", "two columns named 'a'")],
)
def test_csv_without_usable_header_is_unreadable(tmp_path: Path, content: bytes, reason: str):
    with pytest.raises(Unreadable, match=reason):
        rows_of(tmp_path / "a.csv", content)


def test_truncated_gzip_is_unreadable_after_its_good_rows(tmp_path: Path):
    whole = gzip.compress(b"ts\n" + b"".join(b"%d\n" % n for n in range(200_000)))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    read: list[Row | DamagedRow] = []

    with pytest.raises(Unreadable, match="damaged"), Source(path) as source:
        read.extend(source.rows())

    assert len(read) > 1000


def test_missing_file_is_unreadable_in_one_line(tmp_path: Path):
    with pytest.raises(Unreadable, match="No such file"):
        Source(tmp_path / "none.csv")


def test_format_is_told_by_the_name():
    assert format_of(Path("a.CSV.gz")) is Format.CSV
    assert format_of(Path("a.jsonl")) is Format.NDJSON
    with pytest.raises(Unreadable, match="--format"):
        format_of(Path("a.xlsx"))
