"""What a slice gives up: which records are parked, behind which letter, and which go on."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.letters import keys_of, letters_of_malformed, refused, without_parked
from shared.bus.memory import MemoryRecord
from shared.bus.record import SKIPPED, Malformed, Partition
from shared.bus.slices import Entry, Slice, Span
from shared.bus.tables import PARKED, DeadLetter
from shared.errors import PermanentError
from tests.unit.health.builders import used

PLACE = Partition("ingest.usage.v1", 0)
EVENT = used("2026-03-01")
BROKEN = Malformed("malformed", "no JSON")


def slice_of(kinds: Sequence[tuple[bytes | None, Any]]) -> Slice:
    """A slice of records with these keys, decoded so."""
    entries = [
        Entry(MemoryRecord(PLACE.topic, PLACE.number, offset, 0, key, b"{}"), decoded)
        for offset, (key, decoded) in enumerate(kinds)
    ]
    return Slice({PLACE: Span(0, len(entries))}, entries)


def told(letters: Sequence[DeadLetter]) -> list[tuple[int, str, str | None]]:
    return [(letter.record.offset, letter.code, letter.behind) for letter in letters]


def offsets(batch: Slice) -> list[int]:
    return [entry.record.offset for entry in batch.entries]


def test_an_event_of_a_waiting_key_is_parked_and_those_of_others_go_on():
    batch = slice_of([(b"w/a", EVENT), (b"w/b", EVENT), (b"w/a", EVENT)])

    rest, letters = without_parked("live", batch, {b"w/a": "first"})

    assert offsets(rest) == [1]
    assert told(letters) == [(0, PARKED, "first"), (2, PARKED, "first")]
    assert rest.spans == batch.spans


def test_a_malformed_record_parks_what_comes_after_it_and_not_what_came_before():
    batch = slice_of([(b"w/a", EVENT), (b"w/a", BROKEN), (b"w/a", EVENT)])

    rest, letters = without_parked("live", batch, {})

    assert offsets(rest) == [0, 1]
    assert told(letters) == [(1, "malformed", None), (2, PARKED, letters[0].id)]


def test_a_record_without_key_or_that_nobody_folds_is_never_parked():
    batch = slice_of([(None, BROKEN), (None, EVENT), (b"w/a", SKIPPED)])

    rest, letters = without_parked("live", batch, {b"w/a": "first"})

    assert offsets(rest) == [0, 1, 2]
    assert told(letters) == [(0, "malformed", None)]
    assert keys_of(batch) == set()


def test_a_lane_that_skips_gives_up_the_malformed_alone():
    batch = slice_of([(b"w/a", BROKEN), (b"w/a", EVENT)])

    assert told(letters_of_malformed("live", batch)) == [(0, "malformed", None)]


def test_the_id_of_a_letter_follows_from_lane_and_place():
    (entry,) = slice_of([(b"w/a", EVENT)]).entries

    one = refused("live", entry, PermanentError("odd"))
    again = refused("live", entry, PermanentError("odder"))
    other = refused("history", entry, PermanentError("odd"))

    assert one.id == again.id != other.id


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"w/a", b"w/b", None]), st.sampled_from([EVENT, BROKEN, SKIPPED])
        ),
        max_size=12,
    ),
    st.sets(st.sampled_from([b"w/a", b"w/b"])),
)
def test_behind_a_given_up_record_no_event_of_its_key_goes_on(
    kinds: list[tuple[bytes | None, Any]], waiting: set[bytes]
):
    batch = slice_of(kinds)

    rest, letters = without_parked("live", batch, dict.fromkeys(waiting, "first"))

    parked = {letter.record.offset for letter in letters if letter.code == PARKED}
    assert sorted([*offsets(rest), *parked]) == list(range(len(kinds)))
    blocked = set(waiting)
    for entry in batch.entries:
        if entry.decoded is EVENT:
            assert (entry.record.offset in parked) == (entry.record.key in blocked)
        elif entry.decoded is BROKEN and entry.record.key is not None:
            blocked.add(entry.record.key)
