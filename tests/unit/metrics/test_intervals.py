"""What is believed from when to when: added and closed, never changed."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.metrics.model.intervals import Believed, Change, Version, believed_at, change_to

START = datetime(2026, 1, 1, tzinfo=UTC)
Row = Believed[str, int]


def hour(number: int) -> datetime:
    return START + timedelta(hours=number)


def row(key: str, value: int, known_from: int, known_to: int | None = None) -> Row:
    return Believed(key, value, hour(known_from), None if known_to is None else hour(known_to))


def applied(kept: list[Row], change: Change[str, int]) -> list[Row]:
    """The rows after the change."""
    gone = {(r.key, r.known_from) for r in (*change.removed, *change.closed)}
    rest = [r for r in kept if (r.key, r.known_from) not in gone]
    return sorted([*rest, *change.closed, *change.added], key=lambda r: (r.key, r.known_from))


def test_a_value_that_is_new_is_added_and_one_that_is_gone_is_closed():
    kept = [row("a", 1, 0), row("b", 2, 0)]

    change = change_to(kept, [Version(hour(5), {"a": 1, "c": 3})])

    assert list(change.added) == [row("c", 3, 5)]
    assert list(change.closed) == [row("b", 2, 0, 5)]
    assert not change.removed


def test_a_value_that_changes_is_closed_and_added_anew():
    change = change_to([row("a", 1, 0)], [Version(hour(5), {"a": 2})])

    assert list(change.added) == [row("a", 2, 5)]
    assert list(change.closed) == [row("a", 1, 0, 5)]


def test_nothing_changes_where_the_same_is_believed():
    assert not change_to([row("a", 1, 0)], [Version(hour(5), {"a": 1})])


def test_older_knowledge_takes_back_what_was_believed_since():
    kept = [row("a", 1, 0, 5), row("a", 2, 5)]

    change = change_to(kept, [Version(hour(3), {"a": 3}), Version(hour(5), {"a": 2})])

    assert applied(kept, change) == [row("a", 1, 0, 3), row("a", 3, 3, 5), row("a", 2, 5)]


VERSIONS = st.dictionaries(
    st.integers(0, 9), st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), min_size=1
)


@given(versions=VERSIONS, since=st.integers(0, 9))
def test_any_part_of_history_folded_anew_leaves_the_rows_of_all_of_it(
    versions: dict[int, dict[str, int]], since: int
):
    listed = [Version(hour(at), values) for at, values in sorted(versions.items())]
    whole = applied([], change_to([], listed))

    again = [version for version in listed if version.known_from >= hour(since)]
    standing = [
        r for r in whole if r.known_to is None or (again and r.known_to >= again[0].known_from)
    ]

    assert not change_to(standing, again)
    for at, values in versions.items():
        assert believed_at(whole, hour(at)) == values
