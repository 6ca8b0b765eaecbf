"""Directories of processes that a test run starts, and sweeping those of runs that were killed."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from deploy.local import processes

PREFIX = "mainstay-test-"
OWNER = "owner.json"
STOP_SECONDS = 10.0


def new_home(purpose: str) -> Path:
    """A new directory, known to be this test run's."""
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-")).resolve()
    # So that PostgreSQL, which is another user when tests run as root, can pass through.
    home.chmod(0o711)
    processes.record(processes.myself(), home / OWNER)
    return home


def remove(home: Path) -> None:
    """Stop whatever runs in `home`, and delete it."""
    processes.stop_marked(home, wait_seconds=STOP_SECONDS)
    shutil.rmtree(home, ignore_errors=True)


def sweep() -> None:
    """Remove the homes of test runs that have ended, killed or not."""
    for home in Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another run sweeps at the same time
            is_ours = home.stat().st_uid == os.geteuid()
            if is_ours and (home / OWNER).exists() and processes.recorded(home / OWNER) is None:
                remove(home)
