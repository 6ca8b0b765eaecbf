"""When a log is held to have lost what it acknowledged."""

from services.ingest.api.audit import confirmed, shortfalls

PLACE, OTHER = ("ingest.usage.v1", 1), ("ingest.usage.v1", 2)


def test_a_log_that_reaches_as_far_as_it_acknowledged_is_not_short():
    assert shortfalls({PLACE: 10, OTHER: 5}, {PLACE: 10, OTHER: 9}) == {}


def test_a_log_is_short_by_what_it_acknowledged_and_no_longer_has():
    assert shortfalls({PLACE: 10, OTHER: 5}, {PLACE: 7, OTHER: 5}) == {PLACE: 3}


def test_a_log_that_nobody_told_of_is_not_short():
    assert shortfalls({PLACE: 10}, {}) == {}


def test_one_look_is_no_proof():
    assert confirmed({}, {PLACE: 3}) == {}
    assert confirmed({OTHER: 1}, {PLACE: 3}) == {}


def test_two_looks_are_and_the_smaller_number_counts():
    assert confirmed({PLACE: 5}, {PLACE: 3}) == {PLACE: 3}
    assert confirmed({PLACE: 3}, {PLACE: 5}) == {PLACE: 3}
