"""Position, totals and rejects file always agree, whatever order rows are settled in."""

from pathlib import Path

from importer.ledger import ACCEPTED, REPEATED, Ledger, Rejected
from importer.state import Position, StateFile, Totals, fingerprint, folder_for


def ledger_in(folder: Path, position: Position | None = None) -> Ledger:
    state = StateFile(folder / "a.import.json")
    return Ledger(position or Position(fingerprint="f"), state, folder / "a.rejects.csv")


def refused(line: int) -> Rejected:
    return Rejected(line, "invalid_time", "'x' is no time", f"m-{line}")


def test_row_counts_only_once_every_row_before_it_is_settled(tmp_path: Path):
    ledger = ledger_in(tmp_path)

    ledger.settle(2, ACCEPTED)
    before = ledger.position.rows
    ledger.settle(1, REPEATED)

    assert before == 0
    assert ledger.position.rows == 2
    assert ledger.position.totals == Totals(accepted=1, duplicates=1)
    assert ledger.waiting == 0


def test_interrupted_import_goes_on_where_it_was_saved(tmp_path: Path):
    ledger = ledger_in(tmp_path)
    ledger.settle(1, ACCEPTED)
    ledger.settle(2, refused(3))
    ledger.save()

    found = StateFile(tmp_path / "a.import.json").load("f")

    assert found.rows == 2
    assert found.totals == Totals(accepted=1, rejected=1)


def test_rejects_written_after_the_last_save_are_not_told_twice(tmp_path: Path):
    ledger = ledger_in(tmp_path)
    ledger.settle(1, refused(2))
    ledger.save()
    ledger.settle(2, refused(3))
    ledger.close()  # a crash: the second rejection is in the file, the position does not know it

    resumed = ledger_in(tmp_path, StateFile(tmp_path / "a.import.json").load("f"))
    resumed.settle(2, refused(3))
    resumed.save()
    resumed.close()

    assert (tmp_path / "a.rejects.csv").read_text().splitlines() == [
        "line,code,message,message_id",
        "2,invalid_time,'x' is no time,m-2",
        "3,invalid_time,'x' is no time,m-3",
    ]


def test_import_without_rejects_leaves_no_rejects_file(tmp_path: Path):
    ledger = ledger_in(tmp_path)
    ledger.settle(1, ACCEPTED)
    ledger.save()

    ledger.close()

    assert not (tmp_path / "a.rejects.csv").exists()


def test_state_of_another_import_or_a_damaged_one_counts_as_none(tmp_path: Path):
    state = StateFile(tmp_path / "a.import.json")
    state.save(Position(fingerprint="other", rows=7))

    of_another = state.load("f")
    state.path.write_bytes(b"{")

    assert of_another == Position(fingerprint="f")
    assert state.load("f") == Position(fingerprint="f")


def test_fingerprint_changes_with_the_file_and_with_the_mapping(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("ts\n1\n")
    before = fingerprint(path, {"time": "ts"})

    assert fingerprint(path, {"time": "at"}) != before
    path.write_text("ts\n1\n2\n")
    assert fingerprint(path, {"time": "ts"}) != before


def test_folder_without_write_permission_is_left_alone(tmp_path: Path):
    beside = tmp_path / "readonly"
    beside.mkdir(mode=0o555)

    assert folder_for(beside / "a.csv", None) == Path.cwd()
    assert folder_for(tmp_path / "a.csv", None) == tmp_path
    assert folder_for(beside / "a.csv", tmp_path / "made") == tmp_path / "made"
