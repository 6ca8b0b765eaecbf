"""The files of the spill: a directory a partition, in it segments of frames, the oldest first.

All of it is plain blocking I/O for one thread. Appends are durable when `append` returns; reading
goes from the oldest on; a segment whose records have all been dropped is deleted. How far one has
been dropped is not written down: after a crash its records are read once more.
"""

import fcntl
import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog

from services.ingest.store import frames
from services.ingest.store.frames import Fault, Framed, Stretch
from shared import telemetry
from shared.bus.spill import Place
from shared.errors import MainstayError

log = structlog.get_logger()

SEGMENT_BYTES = 8 * 1024 * 1024  # a full one is followed by a new one; a crash repeats so much
SYNCS_AT_ONCE = 4
LOCK = "lock"
SUFFIX = ".spill"
BROKEN_SUFFIX = ".broken"


class SpillInUse(MainstayError):
    """Another process holds the directory: two would delete each other's events."""

    code = "spill_in_use"


@dataclass(slots=True)
class Segment:
    """One file. What lies beyond `bytes` is not durable and counts for nothing."""

    path: Path
    bytes: int = 0
    events: int = 0
    position: int = 0
    """Everything before it has been dropped."""
    oldest_at: float | None = None
    """When the oldest record at or behind `position` was spilled, seconds of the epoch."""


class Growth(NamedTuple):
    """What one place is to grow by: `events` frames, the oldest spilled at `at`."""

    data: bytes
    events: int
    at: float


@dataclass(slots=True)
class _Shelf:
    """The segments of one place."""

    place: Place
    directory: Path
    segments: deque[Segment] = field(default_factory=deque)
    next_number: int = 0
    file: int | None = None
    """Descriptor of the last segment, while it may still grow."""
    read: list[Stretch] = field(default_factory=list)
    """The frames of the last read, all of the first segment."""


class Segments:
    """All segments below one directory."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Take what is there. Raises SpillInUse, OSError."""
        self._directory = directory
        self._segment_bytes = segment_bytes
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sync_directory(directory.parent)
        self._lock = _locked(directory / LOCK)
        self._shelves: dict[Place, _Shelf] = {}
        self._rounds = 0
        self._syncing = ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="spill-sync")
        self.bytes = 0
        """What the segments take on disk."""
        self.lost: Counter[Place] = Counter()
        """Of each place: records that were here, were not dropped, and can no longer be read."""
        for place, files in _found(directory).items():
            self._shelves[place] = self._taken(place, files)

    def close(self) -> None:
        """Close every file and let another process have the directory."""
        for shelf in self._shelves.values():
            _seal(shelf)
        self._syncing.shutdown()
        os.close(self._lock)

    # --- what is here ---

    def events(self) -> Mapping[Place, int]:
        """How many records of each place have not been dropped."""
        held = {
            place: sum(segment.events for segment in shelf.segments)
            for place, shelf in self._shelves.items()
        }
        return {place: count for place, count in held.items() if count}

    def oldest_at(self) -> float | None:
        """When the oldest record was spilled, seconds of the epoch; None without any."""
        heads = [shelf.segments[0].oldest_at for shelf in self._shelves.values() if shelf.segments]
        return min((at for at in heads if at is not None), default=None)

    def broken_files(self) -> int:
        """How many unreadable stretches lie aside and wait for somebody to look at them."""
        return sum(1 for _ in self._directory.glob(f"*/*/*{BROKEN_SUFFIX}"))

    def free_bytes(self) -> int:
        """What the file system has left for us."""
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize

    def every(self) -> Iterator[tuple[Place, list[Framed]]]:
        """All records that have not been dropped, segment by segment."""
        for place, shelf in self._shelves.items():
            for segment in shelf.segments:
                buffer = _content(segment)
                whole = [one for one in frames.walk(buffer) if one.fault is None]
                yield place, [frames.decoded(buffer, one) for one in whole]

    # --- the three verbs ---

    def append(self, growths: Mapping[Place, Growth]) -> Mapping[Place, OSError]:
        """Add records to the ends of their places; the places where that failed, and why.

        Whatever is not named is durable. All are written before any is synced; of a place that
        failed nothing stays.
        """
        failed: dict[Place, OSError] = {}
        for place, growth in growths.items():
            try:
                self._write(place, growth.data)
            except OSError as error:
                failed[place] = error
        written = [place for place in growths if place not in failed]
        # Side by side the file system makes one commit of many: half the time for 12 partitions.
        for place, fault in zip(written, self._syncing.map(self._sync, written), strict=True):
            if fault is None:
                self._grow(place, growths[place])
            else:
                self._give_up(self._shelves[place])
                failed[place] = fault
        return failed

    def read(self, place: Place, *, max_bytes: int) -> list[Framed]:
        """The oldest records not dropped, of one segment, at least one; empty without any.

        What cannot be read is put aside and counted as lost, and those behind it are read.
        """
        shelf = self._shelves.get(place)
        while shelf is not None and shelf.segments:
            segment = shelf.segments[0]
            buffer = _content(segment)
            shelf.read = self._first_frames(shelf, segment, buffer, max_bytes=max_bytes)
            if shelf.read:
                records = [frames.decoded(buffer, frame) for frame in shelf.read]
                segment.oldest_at = records[0].spilled_at
                return records
            self._recount(shelf, segment, buffer)
            self._remove(shelf, segment)
        return []

    def drop(self, place: Place, count: int) -> int:
        """Forget the first `count` records of the last read of the place; how many were forgotten.

        None where their file has vanished meanwhile: then they are counted as lost already.
        """
        shelf = self._shelves[place]
        if len(shelf.read) < count:
            return 0
        segment = shelf.segments[0]
        segment.position += shelf.read[count - 1].end
        segment.events -= count
        shelf.read = []
        if segment.events <= 0:
            self._remove(shelf, segment)
        return count

    def check(self) -> None:
        """Look whether the files still hold what they should; what is missing counts as lost.

        Their sizes are looked at in every round, the frames of one of them in each.
        """
        held = [(shelf, one) for shelf in self._shelves.values() for one in shelf.segments]
        if not held:
            return
        self._rounds += 1
        looked_into = held[self._rounds % len(held)][1]
        for shelf, segment in held:
            if segment is looked_into or _size(segment.path) < segment.bytes:
                self._recount(shelf, segment, _content(segment))
                if segment.events <= 0:
                    self._remove(shelf, segment)

    # --- writing ---

    def _write(self, place: Place, data: bytes) -> None:
        """Write to the last segment of the place, or to a new one; not durable yet."""
        shelf = self._shelves.get(place)
        if shelf is None:
            shelf = self._shelves[place] = _Shelf(place, self._directory / place[0] / str(place[1]))
        if shelf.file is not None and shelf.segments[-1].bytes >= self._segment_bytes:
            _seal(shelf)
        file = shelf.file if shelf.file is not None else self._begin(shelf)
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(file, left) :]
        except OSError:
            self._back_out(shelf)
            raise

    def _sync(self, place: Place) -> OSError | None:
        """Make durable what was written to the place; the error where that fails.

        For a thread of its own: it changes nothing here.
        """
        file = self._shelves[place].file
        assert file is not None, "what was just written is open"
        try:
            os.fdatasync(file)
        except OSError as error:
            return error
        return None

    def _give_up(self, shelf: _Shelf) -> None:
        """After a failed sync: which pages are on disk is unknown, so nothing more goes there."""
        self._back_out(shelf)
        _seal(shelf)

    def _grow(self, place: Place, growth: Growth) -> None:
        """Count what is durable now."""
        segment = self._shelves[place].segments[-1]
        segment.bytes += len(growth.data)
        self.bytes += len(growth.data)
        segment.events += growth.events
        if segment.oldest_at is None:
            segment.oldest_at = growth.at

    def _begin(self, shelf: _Shelf) -> int:
        """A new last segment, whose name is durable."""
        path = shelf.directory / f"{shelf.next_number:012d}{SUFFIX}"
        self._make(shelf.directory)
        shelf.next_number += 1
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            _sync_directory(shelf.directory)
        except OSError:
            os.close(file)
            raise
        shelf.file = file
        shelf.segments.append(Segment(path))
        return file

    def _make(self, directory: Path) -> None:
        if not directory.exists():
            directory.mkdir(parents=True, mode=0o700)
            _sync_directory(directory.parent)
            _sync_directory(self._directory)

    def _back_out(self, shelf: _Shelf) -> None:
        """Take back what was written and is not durable; a file that cannot do so is given up."""
        assert shelf.file is not None, "only an open segment has been written to"
        segment = shelf.segments[-1]
        try:
            os.ftruncate(shelf.file, segment.bytes)
        except OSError as error:
            log.warning("spill_segment_given_up", path=str(segment.path), error=str(error))
            _seal(shelf)
        if not segment.bytes:
            self._remove(shelf, segment)

    # --- reading ---

    def _first_frames(
        self, shelf: _Shelf, segment: Segment, buffer: bytes, *, max_bytes: int
    ) -> list[Stretch]:
        found: list[Stretch] = []
        size = 0
        for stretch in frames.walk(buffer):
            if stretch.fault is not None:
                self._recount(shelf, segment, buffer)
                continue
            size += stretch.end - stretch.start
            if found and size > max_bytes:
                break
            found.append(stretch)
        return found

    def _recount(self, shelf: _Shelf, segment: Segment, buffer: bytes) -> None:
        """Count the frames of a segment anew; those it should have besides are lost."""
        whole = 0
        for stretch in frames.walk(buffer):
            if stretch.fault is None:
                whole += 1
            else:
                _put_aside(segment, buffer, stretch)
        missing = segment.events - whole
        if missing > 0:
            self.lost[shelf.place] += missing
            log.error("spill_lost_events", path=str(segment.path), events=missing)
        segment.events = whole

    def _remove(self, shelf: _Shelf, segment: Segment) -> None:
        """Forget a segment and delete its file; one that stays is read again after a restart."""
        if segment is shelf.segments[-1]:
            _seal(shelf)
        shelf.segments.remove(segment)
        shelf.read = []
        self.bytes -= segment.bytes
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("spill_segment_stays", path=str(segment.path), error=str(error))

    def _taken(self, place: Place, files: Sequence[Path]) -> _Shelf:
        """The shelf of a place as an earlier life has left it."""
        shelf = _Shelf(place, files[0].parent, next_number=int(files[-1].stem) + 1)
        for path in files:
            segment = Segment(path, bytes=_size(path))
            buffer = _content(segment)
            stretches = list(frames.walk(buffer))
            if stretches and stretches[-1].fault is Fault.TORN:
                torn = stretches.pop()
                os.truncate(path, torn.start)
                segment.bytes = torn.start
                log.warning("spill_tail_cut", path=str(path), bytes=torn.end - torn.start)
            for stretch in stretches:
                if stretch.fault is not None:
                    _put_aside(segment, buffer, stretch)
            whole = [stretch for stretch in stretches if stretch.fault is None]
            segment.events = len(whole)
            shelf.segments.append(segment)
            self.bytes += segment.bytes
            if whole:
                segment.oldest_at = frames.decoded(buffer, whole[0]).spilled_at
            else:
                self._remove(shelf, segment)
        return shelf


def _found(directory: Path) -> Mapping[Place, Sequence[Path]]:
    """The segment files of each place, the oldest first."""
    found: dict[Place, list[Path]] = {}
    for path in sorted(directory.glob(f"*/[0-9]*/*{SUFFIX}")):
        found.setdefault((path.parent.parent.name, int(path.parent.name)), []).append(path)
    return found


def _content(segment: Segment) -> bytes:
    """What a segment durably holds from its position on; empty where the file is gone."""
    try:
        with segment.path.open("rb") as file:
            file.seek(segment.position)
            return file.read(max(0, segment.bytes - segment.position))
    except FileNotFoundError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _put_aside(segment: Segment, buffer: bytes, stretch: Stretch) -> None:
    """Keep what is no frame in a file of its own, which nobody deletes but an operator."""
    aside = segment.path.with_suffix(f".{segment.position + stretch.start}{BROKEN_SUFFIX}")
    if aside.exists():
        return
    telemetry.INGEST_SPILL_BROKEN.inc()
    log.error("spill_broken", path=str(aside), bytes=stretch.end - stretch.start)
    try:
        aside.write_bytes(buffer[stretch.start : stretch.end])
    except OSError as error:
        log.warning("spill_broken_not_kept", path=str(aside), error=str(error))


def _seal(shelf: _Shelf) -> None:
    """Write no more to the last segment."""
    if shelf.file is not None:
        os.close(shelf.file)
        shelf.file = None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    """A descriptor that holds the lock. Raises SpillInUse."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SpillInUse(f"{path.parent} is held by another process") from error
    return descriptor
