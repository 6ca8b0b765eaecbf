"""Programs under measurement: started on the measured core, awaited, stopped."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.machine import pinned
from bench.stack import Stack
from deploy.local import processes
from deploy.local.layout import ROOT
from deploy.local.ports import HOST
from deploy.local.processes import Process
from deploy.local.waiting import wait_until

READY_SECONDS = 60.0
STOP_SECONDS = 25.0


class NotMeasurable(RuntimeError):
    """What was measured did not do what it was asked to: there is no figure."""


@contextmanager
def measured(
    stack: Stack, name: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Process]:
    """`python ARGUMENTS` on the measured core for the block; its output in `<name>.log`."""
    with pinned(stack.cores.measured):
        process = processes.start(
            [sys.executable, *arguments],
            mark=stack.home,
            log=log_of(stack, name),
            directory=ROOT,
            environment={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
    try:
        yield process
    finally:
        processes.stop(process, wait_seconds=STOP_SECONDS)


def log_of(stack: Stack, name: str) -> Path:
    """Where a measured program prints."""
    return stack.home / "log" / f"{name}.log"


def wait_ready(stack: Stack, name: str, process: Process, url: str) -> None:
    """Wait until `url` answers 200. Raises NotMeasurable with the last words when it does not."""
    wait_until(lambda: not process.is_running() or _answers(url), timeout_seconds=READY_SECONDS)
    if not process.is_running() or not _answers(url):
        words = processes.last_lines(log_of(stack, name), count=30)
        raise NotMeasurable(f"{name} does not answer at {url}; the end of its output:\n{words}")


def local_url(port: int) -> str:
    """Where a program of ours answers."""
    return f"http://{HOST}:{port}"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=3).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
