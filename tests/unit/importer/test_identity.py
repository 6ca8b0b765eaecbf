"""Message ids: the same row is the same event for ever, two identical rows are two."""

from importer.identity import Identities
from importer.mapping import Kind


def ids_of(*rows: dict[str, object], kind: Kind = Kind.TRACK) -> list[str]:
    identities = Identities(kind)
    return [identities.message_id(row) for row in rows]


def test_second_reading_of_the_same_rows_gives_the_same_ids():
    rows: list[dict[str, object]] = [{"a": "1"}, {"a": "2"}, {"a": "1"}]

    assert ids_of(*rows) == ids_of(*rows)


def test_identical_rows_of_a_file_are_told_apart():
    first, second, third = ids_of({"a": "1"}, {"a": "1"}, {"a": "1"})

    assert second == f"{first}-2"
    assert third == f"{first}-3"


def test_id_does_not_depend_on_the_rows_around_it():
    assert ids_of({"a": "1"}, {"a": "2"})[1] == ids_of({"a": "2"}, {"a": "1"})[0]


def test_id_does_not_depend_on_the_order_of_columns():
    assert ids_of({"a": 1, "b": 2}) == ids_of({"b": 2, "a": 1})


def test_id_depends_on_the_kind():
    assert ids_of({"a": "1"}) != ids_of({"a": "1"}, kind=Kind.IDENTIFY)


def test_neighbouring_cells_do_not_run_into_each_other():
    assert ids_of({"a": "1,2", "b": "3"}) != ids_of({"a": "1", "b": "2,3"})


def test_id_fits_a_message_id():
    assert max(map(len, ids_of({"a": "1"}, {"a": "1"}))) <= 100
