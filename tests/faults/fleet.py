"""Service processes under a supervisor that starts again whatever ends, and remembers each life."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from deploy.local.layout import ROOT
from deploy.local.ports import HOST, Reservation, reserve
from deploy.local.processes import MARK, last_lines
from deploy.local.waiting import wait_until

READY_SECONDS = 90.0
LOOK_SECONDS = 0.02
RESTART_SECONDS = 0.2  # doubled, up to RESTART_LAST_SECONDS, while a process ends at once
RESTART_LAST_SECONDS = 2.0
SHORT_LIFE_SECONDS = 3.0
STOP_SECONDS = 30.0  # beyond the 20 s that a service has, so that a late end is seen, not made


@dataclass
class Life:
    """One run of a worker's process. Instants are seconds since the epoch."""

    pid: int
    began_at: float
    ended_at: float | None = None
    exit_code: int | None = None  # negative: the number of the signal that killed it


@dataclass(eq=False)
class Worker:
    """One service process, kept alive. `command`: what stands behind `python -m`, with `run`."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port_variable: str
    home: Path
    port: Reservation = field(default_factory=reserve)
    lives: list[Life] = field(default_factory=list)
    wanted: bool = False
    usual: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    _child: subprocess.Popen[bytes] | None = None
    _restart_at: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port.port}"

    @property
    def log(self) -> Path:
        """What it printed, over all its lives."""
        return self.home / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        with self._lock:
            return self._child.pid if self._child and self._child.poll() is None else None

    # --- what tests do to it ---

    def start(self) -> None:
        """Let it run from now on; does not wait."""
        with self._lock:
            self.wanted = True
            if self._child is None:
                self._spawn()

    def stop(self) -> None:
        """Let it not run from now on, and wait for its end."""
        with self._lock:
            self.wanted = False
        self.resume()
        self.terminate()

    def kill(self) -> None:
        """SIGKILL; the supervisor starts it again. Returns when the process is gone."""
        self._end(signal.SIGKILL)

    def terminate(self) -> float | None:
        """SIGTERM, and after a while SIGKILL; the seconds to its end, None where it did not run."""
        return self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: alive, and doing nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    @contextmanager
    def running_as(
        self,
        *wrapper: str,
        environment: Mapping[str, str | None] | None = None,
        wait: bool = True,
    ) -> Iterator[None]:
        """Run it for the block within `tests.faults.sabotage` with these words, or other settings.

        `environment`: on top of its own; None takes a setting away. `wait`: until it is ready,
        before the block begins.
        """
        told = self.environment
        settings = {**told, **(environment or {})}
        given = {name: value for name, value in settings.items() if value is not None}
        self._becomes((*self.usual, *wrapper), given, wait=wait)
        try:
            yield
        finally:
            self._becomes(self.usual, told, wait=True)

    def is_usually(self, wrapper: tuple[str, ...]) -> None:
        """Run it with these words from now on, unless a block says otherwise; does not wait."""
        if wrapper != self.usual:
            self.stop()
            self.usual = self.wrapper = wrapper
            self.start()

    def _becomes(
        self, wrapper: tuple[str, ...], environment: Mapping[str, str], *, wait: bool
    ) -> None:
        self.stop()
        self.wrapper, self.environment = wrapper, environment
        self.start()
        if wait:
            self.wait_ready()

    # --- what tests see of it ---

    def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Wait until `GET /ready` is 200; AssertionError with the log's end when it is not."""
        assert wait_until(self.is_ready, timeout_seconds=timeout_seconds), (
            f"{self.name} is not ready:\n{self.last_lines()}"
        )

    def is_ready(self) -> bool:
        """Whether it answers and can do its work."""
        try:
            answer = httpx.get(f"{self.url}/ready", timeout=3, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK

    def readiness(self) -> str:
        """What `GET /ready` says, in words; empty while it does not answer."""
        try:
            return httpx.get(f"{self.url}/ready", timeout=3, trust_env=False).text
        except httpx.TransportError:
            return ""

    def is_paused(self) -> bool:
        """Whether its process is stopped by SIGSTOP."""
        try:
            return self.pid is not None and psutil.Process(self.pid).status() == "stopped"
        except psutil.NoSuchProcess:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric over all its label values but the given; 0 where it has none."""
        try:
            text = httpx.get(f"{self.url}/metrics", timeout=5, trust_env=False).text
        except httpx.TransportError:
            return 0.0
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = [
            line
            for line in text.splitlines()
            if line.startswith((f"{name} ", f"{name}{{")) and all(w in line for w in wanted)
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def restarts_since(self, at: float) -> list[Life]:
        """Lives that ended after `at`."""
        return [life for life in self.lives if life.ended_at is not None and life.ended_at >= at]

    def footprint(self) -> tuple[int, int]:
        """Resident bytes and open files; zeros while it does not run."""
        try:
            process = psutil.Process(self.pid)
            return process.memory_info().rss, process.num_fds()
        except (psutil.NoSuchProcess, ValueError):
            return 0, 0

    def log_size(self) -> int:
        """Bytes of its log: a mark to read from later."""
        return self.log.stat().st_size if self.log.exists() else 0

    def logged_since(self, mark: int) -> list[str]:
        """The lines that it printed behind a mark."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace").splitlines()

    def last_lines(self) -> str:
        """The end of its output, for the message of a failed test."""
        return last_lines(self.log, count=30)

    # --- the supervisor's part ---

    def look(self) -> None:
        """Note an end, and start again what should run."""
        with self._lock:
            if self._child is not None and self._child.poll() is not None:
                self._note_end(self._child.returncode)
            if self._child is None and self.wanted and time.monotonic() >= self._restart_at:
                self._spawn()

    def _spawn(self) -> None:
        words: Sequence[str] = self.command
        if self.wrapper:
            # Every life draws other numbers from the same seed.
            life = ("--life", str(len(self.lives)))
            words = ("tests.faults.sabotage", *life, *self.wrapper, "--", *self.command)
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=ROOT,
                env={
                    **os.environ,
                    **self.environment,
                    self.port_variable: str(self.port.port),
                    MARK: str(self.home),
                },
            )
        self.lives.append(Life(self._child.pid, time.time()))

    def _note_end(self, exit_code: int) -> None:
        life = self.lives[-1]
        life.ended_at, life.exit_code = time.time(), exit_code
        short = [one for one in self.lives[-5:] if (one.ended_at or 0) - one.began_at < 3]
        delay = min(RESTART_SECONDS * 2.0 ** len(short), RESTART_LAST_SECONDS)
        self._restart_at = time.monotonic() + delay
        self._child = None

    def _end(self, number: signal.Signals) -> float | None:
        with self._lock:
            child = self._child
        if child is None or child.poll() is not None:
            return None
        began = time.monotonic()
        child.send_signal(number)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_SECONDS)
        seconds = time.monotonic() - began
        self.look()
        return seconds

    def _send(self, number: signal.Signals) -> None:
        with self._lock:
            if self._child is not None and self._child.poll() is None:
                self._child.send_signal(number)


class Fleet:
    """All workers of a world, and the thread that looks after them."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)

    def add(self, worker: Worker) -> Worker:
        """Look after a worker from now on."""
        self.workers.append(worker)
        return worker

    def remove(self, worker: Worker) -> None:
        """End a worker for good."""
        worker.stop()
        self.workers.remove(worker)
        worker.port.release()

    def start(self) -> None:
        """Begin to look after the workers."""
        self._thread.start()

    def stop(self) -> None:
        """End all workers, and the supervision."""
        for worker in self.workers:
            worker.stop()
        self._ending.set()
        self._thread.join()

    def _supervise(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            for worker in list(self.workers):
                worker.look()
