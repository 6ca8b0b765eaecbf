"""The six services, and the sink for their mail, under supervisord, which restarts what exits.

The configuration is the wish, `apply` brings the supervisor to it: what changed is restarted,
what is new is started, the rest is left alone. A service's code is part of its configuration (by
fingerprint), so that a second `make up` after an edit runs the edit.
"""

import configparser
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from deploy.local import processes
from deploy.local.errors import StackError
from deploy.local.layout import HOME, RECORDS, ROOT, log_of
from deploy.local.processes import Process
from deploy.local.services import Service
from deploy.local.waiting import wait_until

NAME = "supervisord"
CONFIGURATION = RECORDS / "supervisord.conf"
RECORD = RECORDS / f"{NAME}.json"
ANSWER_SECONDS = 30.0
STOP_SECONDS = 20  # a service ends by itself within 18 s of SIGTERM
LONGEST_SOCKET_PATH = 90  # the kernel's limit is 108, and supervisord appends its pid


@dataclass(frozen=True, slots=True)
class Program:
    """Something to run, with all that it is told. `folders`: its code, whose change restarts it."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str]
    folders: Sequence[Path]

    @classmethod
    def of_service(cls, service: Service, environment: Mapping[str, str]) -> "Program":
        """A service in all its roles."""
        folders = (ROOT / "shared", ROOT / "services" / service.name)
        return cls(service.name, (f"services.{service.name}", "run"), environment, folders)


@dataclass(frozen=True, slots=True)
class ProgramState:
    """What the supervisor says of a service: its state (RUNNING, BACKOFF, ...) and its pid."""

    state: str
    pid: int | None


def apply(programs: Sequence[Program]) -> None:
    """Make exactly `programs` run, each as described."""
    CONFIGURATION.touch(mode=0o600)
    CONFIGURATION.write_text(_configuration(programs))
    if process() is None:
        _start()
    else:
        _control("update")


def process() -> Process | None:
    """The supervisor's own process; None while it does not run."""
    return processes.recorded(RECORD)


def states() -> dict[str, ProgramState]:
    """The state of every service it was told to run; empty while it does not answer."""
    if process() is None:
        return {}
    lines = [line.split() for line in _ask("status").splitlines()]
    return {
        words[0]: ProgramState(words[1], _pid(words))
        for words in lines
        if words[1:2] != ["refused"]
    }


def stop() -> None:
    """Stop all services at once, then the supervisor."""
    running = process()
    if running is None:
        return
    # Asked to end, it stops one service after the other; asked to stop all, all at once.
    with suppress(StackError):
        _control("stop", "all")
    processes.stop(running, wait_seconds=STOP_SECONDS + 5)


def _start() -> None:
    started = processes.start(
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", CONFIGURATION],
        mark=HOME,
        log=log_of(NAME),
        directory=ROOT,
    )
    processes.record(started, RECORD)
    wait_until(lambda: process() is None or bool(states()), timeout_seconds=ANSWER_SECONDS)
    if not states():
        raise StackError(f"supervisord does not answer:\n{processes.last_lines(log_of(NAME))}")


def _control(*words: str) -> None:
    answer = _ask(*words)
    if "error:" in answer.lower():
        raise StackError(f"supervisord refuses {' '.join(words)}: {answer.strip()[:300]}")


def _ask(*words: str) -> str:
    control = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(CONFIGURATION)]
    answer = subprocess.run(
        [*control, *words],
        capture_output=True, text=True, timeout=STOP_SECONDS * 3, check=False, cwd=ROOT,
    )  # fmt: skip
    return answer.stdout


def _pid(words: Sequence[str]) -> int | None:
    # health   RUNNING   pid 4711, uptime 0:00:05
    return int(words[3].rstrip(",")) if words[2:3] == ["pid"] else None


def _configuration(programs: Sequence[Program]) -> str:
    parser = configparser.RawConfigParser()
    parser.read_dict(
        {
            "supervisord": {
                "logfile": "/dev/null",  # -n prints the same lines, which go to our log
                "logfile_maxbytes": "0",
                "pidfile": str(RECORDS / "supervisord.pid"),
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
            "unix_http_server": {"file": str(_socket()), "chmod": "0700"},
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": (
                    "supervisor.rpcinterface:make_main_rpcinterface"
                )
            },
            "supervisorctl": {"serverurl": f"unix://{_socket()}"},
            **{f"program:{program.name}": _section(program) for program in programs},
        }
    )
    text = StringIO()
    parser.write(text)
    return text.getvalue()


def _section(program: Program) -> dict[str, str]:
    # The supervisor takes % for the beginning of a variable.
    return {name: value.replace("%", "%%") for name, value in _plain_section(program).items()}


def _plain_section(program: Program) -> dict[str, str]:
    told = {**program.environment, "CODE_FINGERPRINT": _fingerprint(program.folders)}
    quoted = [f'{name}="{value}"' for name, value in told.items()]
    return {
        "command": shlex.join([sys.executable, "-m", *program.words]),
        "directory": str(ROOT),
        "environment": ",".join(quoted),
        "autorestart": "true",
        # Longer than a service takes to fail: then the supervisor waits between its tries.
        "startsecs": "5",
        # With the supervisor's growing pause between tries: half an hour.
        "startretries": "60",
        "stopwaitsecs": str(STOP_SECONDS),
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(log_of(program.name)),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "3",
    }


def _socket() -> Path:
    inside = RECORDS / "supervisor.sock"
    if len(str(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(str(HOME).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mainstay-{digest}.sock"


def _fingerprint(folders: Sequence[Path]) -> str:
    """Changes whenever a file that stands in `folders` does."""
    files = [file for folder in folders for file in folder.rglob("*") if _is_source(file)]
    stamps = [f"{file}@{file.stat().st_mtime_ns}" for file in sorted([*files, ROOT / "uv.lock"])]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:12]


def _is_source(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts
