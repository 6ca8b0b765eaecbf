"""What a killed test run left behind is gone after the next start; what others use is not."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.processes import Process
from tests.support.homes import sweep

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in which only this test's homes are swept."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    for home in tmp_path.iterdir():
        processes.stop_marked(home, wait_seconds=5)


def home_of(owner: Process, parent: Path) -> tuple[Path, Process]:
    """A stack's home as `owner` left it, with one process still running."""
    home = parent / f"mainstay-test-{owner.pid}"
    home.mkdir()
    processes.record(owner, home / "owner.json")
    return home, processes.start(SLEEPER, mark=home, log=home / "log")


def test_stack_of_a_killed_test_run_is_stopped_and_removed(temporary_directory: Path) -> None:
    dead = Process(pid=2**22 + 1, started_at=0.0)
    home, process = home_of(dead, temporary_directory)

    sweep()

    assert not process.is_running()
    assert not home.exists()


def test_stack_of_a_running_test_run_is_left_alone(temporary_directory: Path) -> None:
    home, process = home_of(processes.myself(), temporary_directory)

    sweep()

    assert process.is_running()
    assert home.exists()
