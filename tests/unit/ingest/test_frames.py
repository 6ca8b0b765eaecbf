"""A frame is read back as it was written, and one that is broken hides none behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.store.frames import Fault, Framed, decoded, encoded, walk

headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3)
framed = st.builds(
    Framed,
    spilled_at=st.floats(min_value=0, max_value=4e9),
    key=st.binary(max_size=40),
    value=st.binary(max_size=200),
    headers=headers,
)


def three() -> list[bytes]:
    return [
        encoded(Framed(1.0, b"w/acme", f"event {n}".encode(), [("content-type", b"json")]))
        for n in range(3)
    ]


@given(st.lists(framed, max_size=5))
def test_what_was_written_is_read_back_in_order(records: list[Framed]):
    buffer = b"".join(map(encoded, records))

    assert [decoded(buffer, stretch) for stretch in walk(buffer)] == records


@given(st.integers(min_value=1))
def test_an_append_cut_short_is_a_torn_tail(cut: int):
    first, second, third = three()
    whole = first + second
    buffer = whole + third[: 1 + cut % (len(third) - 1)]

    found = list(walk(buffer))

    assert [stretch.fault for stretch in found] == [None, None, Fault.TORN]
    assert found[-1].start == len(whole)


def test_a_file_that_grew_without_its_bytes_has_a_torn_tail():
    buffer = b"".join(three()) + bytes(4096)

    assert [stretch.fault for stretch in walk(buffer)] == [None, None, None, Fault.TORN]


@pytest.mark.parametrize("at", [0, 5, 9, 12, 30])
def test_a_changed_byte_breaks_its_own_frame_only(at: int):
    first, second, third = three()
    damaged = bytearray(second)
    damaged[at] ^= 0xFF
    buffer = first + bytes(damaged) + third

    found = list(walk(buffer))

    assert [stretch.fault for stretch in found] == [None, Fault.BROKEN, None]
    assert (found[1].start, found[1].end) == (len(first), len(first) + len(second))


def test_a_changed_byte_of_the_last_frame_is_no_torn_tail():
    first, second, third = three()
    buffer = first + second + third[:-1] + bytes([third[-1] ^ 0xFF])

    assert [stretch.fault for stretch in walk(buffer)] == [None, None, Fault.BROKEN]


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_every_byte_belongs_to_exactly_one_stretch(noise: list[bytes]):
    buffer = b"".join(piece + frame for piece, frame in zip(noise, three() * 2, strict=False))

    found = list(walk(buffer))

    assert [s.start for s in found] == [0, *(s.end for s in found)][: len(found)]
    assert sum(s.end - s.start for s in found) == len(buffer)
    assert sum(s.fault is None for s in found) >= min(len(noise), 6)
