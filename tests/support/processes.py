"""A service as a process of its own, which a test starts, awaits, stops and kills."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from deploy.local import processes
from deploy.local.layout import ROOT
from deploy.local.ports import HOST, Reservation, reserve
from deploy.local.processes import Process
from deploy.local.services import named
from deploy.local.waiting import wait_until
from tests.support.homes import new_home

READY_SECONDS = 90.0
STOP_SECONDS = 20.0


@dataclass(slots=True)
class ServiceProcess:
    """`python -m services.<name> run` on a port of the kernel's choice, kept over restarts.

    `environment` is added to our own: addresses, keys, settings. `arguments` follow `run`.
    Usable as a context manager, which starts, awaits and in the end stops it. Its home with the
    log stays until a later test run sweeps it.
    """

    name: str
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    port: Reservation = field(default_factory=reserve)
    home: Path = field(default_factory=lambda: new_home("service"))
    process: Process | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port.port}"

    @property
    def log(self) -> Path:
        """What it printed, over all its lives."""
        return self.home / f"{self.name}.log"

    def start(self) -> None:
        """Start it; does not wait."""
        port = {named(self.name).port_variable: str(self.port.port)}
        self.process = processes.start(
            [sys.executable, "-m", f"services.{self.name}", "run", *self.arguments],
            mark=self.home,
            log=self.log,
            directory=ROOT,
            environment={**os.environ, **self.environment, **port},
        )

    def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Wait until `GET /ready` is 200; AssertionError with the log's end when it is not."""
        wait_until(
            lambda: not self.is_running() or self._is_ready(), timeout_seconds=timeout_seconds
        )
        assert self.is_running(), f"{self.name} has exited:\n{self.last_lines()}"
        assert self._is_ready(), f"{self.name} is not ready:\n{self.last_lines()}"

    def is_running(self) -> bool:
        """Whether it was started and has not ended since."""
        return self.process is not None and self.process.is_running()

    def terminate(self) -> None:
        """SIGTERM, and wait for its orderly end."""
        if self.process is not None:
            processes.stop(self.process, wait_seconds=STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL, as a crash does."""
        if self.process is not None:
            processes.kill(self.process)

    def pause(self) -> None:
        """SIGSTOP: alive, but doing nothing, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def last_lines(self) -> str:
        """The end of its output, for the message of a failed test."""
        return processes.last_lines(self.log, count=40)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.terminate()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.terminate()
        self.port.release()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=3).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.is_running():
            os.kill(self.process.pid, number)
