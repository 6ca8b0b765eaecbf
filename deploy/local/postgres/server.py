"""A PostgreSQL server of our own: initialised once, started, probed, stopped, killed."""

import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local import processes
from deploy.local.errors import StackError
from deploy.local.ports import HOST
from deploy.local.postgres.identity import owner_of
from deploy.local.postgres.programs import Programs
from deploy.local.processes import Identity, Process
from deploy.local.waiting import POLL_SECONDS, ask, wait_until

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
# After kill -9 a new server refuses to start while the last children of the old one hold its
# shared memory.
RETRY_SECONDS = 10.0
CONNECTIONS = 120  # six services and a test run beside them


@dataclass(frozen=True, slots=True)
class Postgres:
    """A local server. `home` holds its data, log, record and password.

    `durable`: whether a commit reaches the disk; off only where losing the data costs nothing.
    """

    home: Path
    programs: Programs
    port: int
    durable: bool = True

    @property
    def base(self) -> Path:
        """Data and password; one per major version, because they cannot read each other's."""
        return self.home / f"postgres-{self.programs.major}"

    @property
    def log(self) -> Path:
        """Where the server's output is appended."""
        return self.home / "log" / "postgres.log"

    def url(self, database: str, role: str, password: str) -> str:
        """An address of one database here, as in `DATABASE_URL_<SERVICE>`."""
        return f"postgresql://{role}:{password}@{HOST}:{self.port}/{database}"

    def administrator_url(self, database: str = "postgres") -> str:
        """The address with the superuser's password; only for the stack itself."""
        return self.url(database, "postgres", self._password_file.read_text().strip())

    def process(self) -> Process | None:
        """The server's process; None while it does not run."""
        return processes.recorded(self._record)

    def start(self) -> None:
        """Initialise where needed, start unless it runs, and wait until it answers."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.base.mkdir(parents=True, exist_ok=True, mode=0o700)
        identity = owner_of(self.base, self.programs.postgres)
        if not self._data.exists():
            self._initialise(identity)
        deadline = time.monotonic() + RETRY_SECONDS
        while not self._comes_up(identity):
            if not self._is_held_by_the_dead() or time.monotonic() > deadline:
                raise StackError(self._why_not())
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop in an orderly way: open sessions are ended, nothing committed is lost."""
        if process := self.process():
            processes.stop(process, wait_seconds=STOP_SECONDS, first=signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL, as a crash does; `start` recovers."""
        if process := self.process():
            processes.kill(process)

    @property
    def _data(self) -> Path:
        return self.base / "data"

    @property
    def _password_file(self) -> Path:
        return self.base / "password"

    @property
    def _record(self) -> Path:
        return self.home / "run" / "postgres.json"

    def _initialise(self, identity: Identity) -> None:
        """Make the data directory under another name, so that a half-made one is never used."""
        draft = self.base / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24) + "\n")
        # Handed over again, now with the password in it.
        identity = owner_of(self.base, self.programs.initdb)
        options = ["--auth=scram-sha-256", f"--pwfile={self._password_file}", "-N"]
        text = ["-E", "UTF8", "--locale=C.UTF-8"]
        processes.run(
            [self.programs.initdb, "-D", draft, "-U", "postgres", *options, *text],
            identity=identity, purpose="initialise PostgreSQL",
        )  # fmt: skip
        draft.rename(self._data)

    def _comes_up(self, identity: Identity) -> bool:
        """Start unless it runs; whether it answers before it exits or time is up."""
        if self.process() is None:
            self._write_settings()
            command: list[str | Path] = [self.programs.postgres, "-D", self._data]
            process = processes.start(command, mark=self.home, log=self.log, identity=identity)
            processes.record(process, self._record)
        wait_until(lambda: self.process() is None or self._answers(), timeout_seconds=READY_SECONDS)
        return self.process() is not None and self._answers()

    def _write_settings(self) -> None:
        settings = {
            "listen_addresses": f"'{HOST}'",
            "port": str(self.port),
            "unix_socket_directories": "''",
            "max_connections": str(CONNECTIONS),
            "shared_buffers": "'64MB'",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (self._data / "postgresql.auto.conf").write_text("".join(lines))

    def _answers(self) -> bool:
        return ask(_answers(self.administrator_url()))

    def _is_held_by_the_dead(self) -> bool:
        return "is still in use" in processes.last_lines(self.log)

    def _why_not(self) -> str:
        state = "does not answer yet" if self.process() else "has exited"
        return f"PostgreSQL {state}; the end of {self.log}:\n{processes.last_lines(self.log)}"


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=3)
        await connection.close(timeout=3)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True
