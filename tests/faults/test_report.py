"""The table says what was tried, and keeps what an earlier run has tried of other rows."""

from pathlib import Path

from tests.faults import report
from tests.faults.trial import Form, Result, Row


def result(number: int, outcome: str, **fields: object) -> Result:
    row = Row(number=number, title="a fault", how="somehow", heals_within_seconds=30)
    made = Result(row, Form.FULL, "7", outcome=outcome)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def rows_of(file: Path) -> list[list[str]]:
    lines = [line for line in file.read_text().splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_a_row_is_a_line_in_the_order_of_the_rows(tmp_path: Path):
    file = tmp_path / "faults.md"

    report.write([result(12, "holds"), result(3, "holds", fired={"batches_fenced": 2})], file)

    assert [(cells[0], cells[3], cells[4]) for cells in rows_of(file)] == [
        ("3", "holds", "batches fenced 2"),
        ("12", "holds", "-"),
    ]


def test_rows_that_were_not_tried_again_stay(tmp_path: Path):
    file = tmp_path / "faults.md"
    report.write([result(1, "holds"), result(3, "BROKEN", reason="lost | much")], file)

    report.write([result(3, "holds")], file)

    assert [(cells[0], cells[3]) for cells in rows_of(file)] == [("1", "holds"), ("3", "holds")]


def test_a_row_that_cannot_run_here_says_so_and_why(tmp_path: Path):
    file = tmp_path / "faults.md"

    report.write([result(14, "not run", reason="no iptables on this machine")], file)

    assert rows_of(file)[0][3] == "not run: no iptables on this machine"
