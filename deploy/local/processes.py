"""Processes that outlive their starter: started in an own session, recorded, found and stopped.

A process is known by its pid *and* its start time, because a pid alone may belong to somebody
else tomorrow. Every process also carries the directory of its stack in its environment, so that
even one whose record was lost (killed between start and note) can be found.
"""

import json
import os
import signal
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from deploy.local.errors import StackError
from deploy.local.waiting import wait_until

MARK = "MAINSTAY_STACK"

# The start time of a process is boot time plus ticks; the boot time that Linux reports moves by
# a second or two when the clock is set.
START_TOLERANCE_SECONDS = 5.0

RUN_SECONDS = 120
KILL_SECONDS = 10.0
LOG_BYTES = 10_000_000

# Popen objects of our own children. Kept so that none is collected while its process runs, which
# would raise a ResourceWarning in every test.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Process:
    """One started process: pid and start time (seconds since the epoch)."""

    pid: int
    started_at: float

    def is_running(self) -> bool:
        """Whether this very process runs (a zombie does not)."""
        return _find(self) is not None


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a process runs: extra arguments of `subprocess`, and words before the command."""

    arguments: Mapping[str, object]
    prefix: tuple[str, ...] = ()


OURSELVES = Identity(arguments={})


def start(
    command: Sequence[str | Path],
    *,
    mark: Path,
    log: Path,
    directory: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
    identity: Identity = OURSELVES,
) -> Process:
    """Start `command` in its own session, output appended to `log`; returns what to record.

    `environment` replaces the inherited one when given; `mark` is the stack's directory.
    """
    inherited = os.environ if environment is None else environment
    _turn_over(log)
    with log.open("ab") as output:
        child = subprocess.Popen(  # type: ignore[call-overload]
            [*identity.prefix, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=directory,
            env={**inherited, MARK: str(mark)},
            **identity.arguments,
        )
    _children.append(child)
    return Process(child.pid, psutil.Process(child.pid).create_time())


def run(
    command: Sequence[str | Path],
    *,
    purpose: str,
    directory: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
    identity: Identity = OURSELVES,
) -> None:
    """Run `command` to its end; raises `StackError` with its last words when it fails."""
    try:
        ended = subprocess.run(  # type: ignore[call-overload]
            [*identity.prefix, *map(str, command)],
            capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
            cwd=directory, env=environment, **identity.arguments,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"cannot {purpose}: {error}") from error
    if ended.returncode != 0:
        raise StackError(f"cannot {purpose}: {(ended.stderr or ended.stdout).strip()[-400:]}")


def stop(*started: Process, wait_seconds: float, first: signal.Signals = signal.SIGTERM) -> None:
    """Send `first` to all, give them `wait_seconds` together, then SIGKILL; returns when all are
    gone.
    """
    _send(started, first)
    if not _wait_for_end(started, wait_seconds):
        _send(started, signal.SIGKILL)
        _wait_for_end(started, KILL_SECONDS)


def myself() -> Process:
    """The process that runs this."""
    return Process(os.getpid(), psutil.Process().create_time())


def kill(process: Process) -> None:
    """SIGKILL, and wait until the process is gone."""
    stop(process, wait_seconds=10, first=signal.SIGKILL)


def record(process: Process, file: Path) -> None:
    """Note a started process in `file`, replacing what stood there, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(process)))
    draft.replace(file)


def recorded(file: Path) -> Process | None:
    """The running process noted in `file`; None when there is no note or it has ended."""
    try:
        process = Process(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if process.is_running() else None


def marked(mark: Path) -> list[Process]:
    """Every running process that carries the mark of the stack in `mark`, ourselves excepted."""
    found = []
    for candidate in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if candidate.pid != os.getpid() and candidate.environ().get(MARK) == str(mark):
                found.append(Process(candidate.pid, candidate.create_time()))
    return [process for process in found if process.is_running()]


def stop_marked(
    mark: Path, *, wait_seconds: float, keep: Collection[Process] = ()
) -> list[Process]:
    """Stop every process of the stack in `mark`, recorded or not; returns what it found.

    `keep`: processes that stay, with their children.
    """
    kept = {process.pid for process in keep}
    found = [process for process in marked(mark) if not kept & _pid_and_ancestors(process)]
    stop(*found, wait_seconds=wait_seconds)
    return found


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log file, indented for a person to read; empty when there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"    {line[:300]}" for line in lines[-count:])


def _turn_over(log: Path) -> None:
    """Begin a new log file where the old one has grown large; the one before it is kept."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _send(started: Iterable[Process], number: signal.Signals) -> None:
    for process in started:
        if found := _find(process):
            with suppress(psutil.NoSuchProcess):
                found.send_signal(number)


def _wait_for_end(started: Collection[Process], wait_seconds: float) -> bool:
    """Whether all have ended in time. One that init is slow to bury has ended all the same."""
    ended = wait_until(
        lambda: not any(process.is_running() for process in started), timeout_seconds=wait_seconds
    )
    # Those that are our own children we bury ourselves.
    _children[:] = [child for child in _children if child.poll() is None]
    return ended


def _pid_and_ancestors(process: Process) -> set[int]:
    try:
        return {process.pid, *[parent.pid for parent in psutil.Process(process.pid).parents()]}
    except psutil.NoSuchProcess:
        return {process.pid}


def _find(process: Process) -> psutil.Process | None:
    try:
        found = psutil.Process(process.pid)
        is_ours = abs(found.create_time() - process.started_at) < START_TOLERANCE_SECONDS
        ended = found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    if not is_ours or ended:
        return None
    return found
