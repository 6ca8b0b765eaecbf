"""The spill's files: durable, in order, and honest about what cannot be read."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.ingest.store import frames
from services.ingest.store.frames import Framed
from services.ingest.store.segments import Growth, Segments, SpillInUse
from tests.support.homes import new_home, remove

PLACE = ("ingest.usage.v1", 3)
OTHER = ("ingest.accounts.v1", 0)


def growth(*values: str) -> Growth:
    records = [Framed(7.0, b"key", value.encode(), []) for value in values]
    return Growth(b"".join(map(frames.encoded, records)), len(records), 7.0)


def values(segments: Segments, place: tuple[str, int] = PLACE) -> list[str]:
    """All that is left of a place, dropping it on the way."""
    found: list[str] = []
    while batch := segments.read(place, max_bytes=1):
        found += [framed.value.decode() for framed in batch]
        segments.drop(place, len(batch))
    return found


def files(directory: Path) -> Sequence[Path]:
    return sorted(directory.glob("*/*/*.spill"))


def test_records_come_back_in_order_and_their_files_go(tmp_path: Path):
    segments = Segments(tmp_path)
    segments.append({PLACE: growth("a", "b"), OTHER: growth("x")})
    segments.append({PLACE: growth("c")})

    found = values(segments)

    assert found == ["a", "b", "c"]
    assert values(segments, OTHER) == ["x"]
    assert (files(tmp_path), segments.bytes) == ([], 0)


def test_a_full_segment_is_followed_by_a_new_one(tmp_path: Path):
    segments = Segments(tmp_path, segment_bytes=100)
    for number in range(9):
        segments.append({PLACE: growth(f"v{number}")})

    assert len(files(tmp_path)) > 1
    assert values(segments) == [f"v{number}" for number in range(9)]


def test_what_an_earlier_life_left_is_there_after_a_crash(tmp_path: Path):
    first = Segments(tmp_path)
    first.append({PLACE: growth("a", "b", "c")})
    first.read(PLACE, max_bytes=1)
    first.drop(PLACE, 1)
    crash(first)

    second = Segments(tmp_path)

    assert second.events() == {PLACE: 3}  # how far it was dropped is not written down
    assert values(second) == ["a", "b", "c"]


def test_a_torn_tail_is_cut_off_and_nothing_else(tmp_path: Path):
    first = Segments(tmp_path)
    first.append({PLACE: growth("a", "b")})
    crash(first)
    with files(tmp_path)[0].open("ab") as file:
        file.write(growth("torn").data[:-3])

    second = Segments(tmp_path)

    assert second.broken_files() == 0
    assert values(second) == ["a", "b"]


def test_a_broken_frame_is_put_aside_and_those_behind_it_are_read(tmp_path: Path):
    first = Segments(tmp_path)
    first.append({PLACE: growth("a", "b", "c")})
    crash(first)
    path = files(tmp_path)[0]
    content = bytearray(path.read_bytes())
    broken = content.index(b"b\x90")
    content[broken] ^= 0xFF
    path.write_bytes(content)

    second = Segments(tmp_path)

    assert second.broken_files() == 1
    assert values(second) == ["a", "c"]
    assert second.broken_files() == 1  # nobody deletes it but an operator
    second.close()
    assert Segments(tmp_path).broken_files() == 1


def test_a_second_process_is_refused(tmp_path: Path):
    holding = Segments(tmp_path)

    with pytest.raises(SpillInUse, match="held by another process"):
        Segments(tmp_path)
    holding.close()
    Segments(tmp_path).close()


def test_a_deleted_file_counts_as_lost(tmp_path: Path):
    segments = Segments(tmp_path)
    segments.append({PLACE: growth("a", "b"), OTHER: growth("x")})
    next((tmp_path / PLACE[0]).glob("*/*.spill")).unlink()

    segments.check()

    assert segments.lost == {PLACE: 2}
    assert segments.events() == {OTHER: 1}
    segments.append({PLACE: growth("c")})  # not to the file that is gone
    assert values(segments) == ["c"]


def test_a_file_cut_short_counts_what_is_missing(tmp_path: Path):
    segments = Segments(tmp_path)
    segments.append({PLACE: growth("a", "b", "c")})
    path = files(tmp_path)[0]
    os.truncate(path, path.stat().st_size - 1)

    segments.check()

    assert segments.lost == {PLACE: 1}
    assert values(segments) == ["a", "b"]


def test_a_record_that_rots_while_it_waits_is_found_by_looking(tmp_path: Path):
    segments = Segments(tmp_path)
    segments.append({PLACE: growth("a", "b", "c")})
    path = files(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[content.index(b"b\x90")] ^= 0xFF
    path.write_bytes(content)

    segments.check()

    assert (segments.lost, segments.broken_files()) == ({PLACE: 1}, 1)
    assert values(segments) == ["a", "c"]
    assert segments.lost == {PLACE: 1}


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_an_append_that_fails_leaves_nothing_and_the_next_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
):
    segments = Segments(tmp_path)
    segments.append({PLACE: growth("a")})
    with monkeypatch.context() as failing:
        failing.setattr(os, call, half_then_no_space(getattr(os, call)))
        failed = segments.append({PLACE: growth("b")})
    after = segments.append({PLACE: growth("c")})

    assert failed[PLACE].errno == errno.ENOSPC
    assert not after
    crash(segments)
    assert values(Segments(tmp_path)) == ["a", "c"]


def half_then_no_space(real: Callable[..., int]) -> Callable[..., int]:
    calls = iter([True])

    def call(descriptor: int, data: bytes = b"") -> int:
        if data and next(calls, False):
            return real(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    return call


def crash(segments: Segments) -> None:
    """What a kill leaves behind: the lock is let go, nothing is written."""
    os.close(segments._lock)


class Spilling(RuleBasedStateMachine):
    """Any order of appends, drains and crashes: what was appended comes out, in order.

    A crash may repeat what was dropped already, from a segment's beginning, and never leaves out
    what was not.
    """

    @initialize()
    def begin(self) -> None:
        self.home = new_home("segments")
        self.segments = Segments(self.home / "spill", segment_bytes=120)
        self.appended: list[str] = []
        self.dropped = 0  # of `appended`, the first so many
        self.read: list[str] = []

    @rule(count=st.integers(1, 4), together=st.booleans())
    def append(self, count: int, together: bool) -> None:  # noqa: FBT001
        new = [f"v{len(self.appended) + n}" for n in range(count)]
        groups = [new] if together else [[one] for one in new]
        for group in groups:
            assert not self.segments.append({PLACE: growth(*group), OTHER: growth("x")})
        self.appended += new

    @rule(max_bytes=st.integers(1, 200), share=st.floats(0, 1))
    def drain(self, max_bytes: int, share: float) -> None:
        found = [framed.value.decode() for framed in self.segments.read(PLACE, max_bytes=max_bytes)]
        assert found == self.appended[self.dropped : self.dropped + len(found)]
        assert bool(found) == (self.dropped < len(self.appended))
        count = int(share * len(found))
        if count:
            assert self.segments.drop(PLACE, count) == count
            self.dropped += count

    @rule()
    def check(self) -> None:
        self.segments.check()

    @rule(torn=st.integers(0, 40))
    def crash(self, torn: int) -> None:
        if torn and (last := files(self.home / "spill")):
            with last[-1].open("ab") as file:
                file.write(growth("torn").data[: min(torn, len(growth("torn").data) - 1)])
        crash(self.segments)
        self.segments = Segments(self.home / "spill", segment_bytes=120)
        again = self.segments.read(PLACE, max_bytes=1)
        first = int(again[0].value.decode()[1:]) if again else len(self.appended)
        assert first <= self.dropped
        self.dropped = first

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "segments"):
            assert not self.segments.lost
            assert self.segments.broken_files() == 0
            assert self.segments.events().get(PLACE, 0) == len(self.appended) - self.dropped

    def teardown(self) -> None:
        if hasattr(self, "segments"):
            assert values(self.segments) == self.appended[self.dropped :]
            self.segments.close()
            remove(self.home)


Spilling.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_any_order_of_appends_drains_and_crashes_loses_nothing = Spilling.TestCase
