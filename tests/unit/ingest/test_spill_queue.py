"""What waits for the spill's disk in memory has a bound, however long the disk hangs."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.ingest.store.segments import Growth, Segments
from services.ingest.store.spill import DiskSpill
from shared.bus.spill import Place, SpillRefused

PLACE = ("t", 0)
VALUE = b"x" * 1000


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set while the disk answers."""
    answers = threading.Event()
    append = Segments.append

    def late(segments: Segments, growths: Mapping[Place, Growth]) -> Mapping[Place, OSError]:
        assert answers.wait(30)
        return append(segments, growths)

    monkeypatch.setattr(Segments, "append", late)
    return answers


def test_a_disk_that_hangs_is_given_no_more_than_fits_and_keeps_that_in_order(
    tmp_path: Path, disk: threading.Event
):
    async def course() -> tuple[str | None, str | None, list[bytes]]:
        spill = DiskSpill(
            tmp_path, most_bytes=10**9, noted=lambda *_: None, most_on_way_bytes=10_000
        )
        waits = [spill.append(PLACE, [(b"%d" % n, VALUE, [])]) for n in range(9)]
        with pytest.raises(SpillRefused, match="too slow"):
            spill.append(PLACE, [(b"9", VALUE, [])])
        behind = spill.why_not()
        disk.set()
        await asyncio.gather(*waits)
        kept = [key for key, _, _ in await spill.read(PLACE, max_bytes=10**6)]
        after = spill.why_not()
        await spill.close()
        return behind, after, kept

    behind, after, kept = asyncio.run(course())

    assert behind is not None
    assert after is None
    assert kept == [b"%d" % n for n in range(9)]
