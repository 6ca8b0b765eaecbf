"""One line per step with its seconds, and a sign of life for a step longer than two seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0
REPEAT_SECONDS = 10.0


def say(line: str) -> None:
    """Print one line at once, also into a pipe."""
    print(line, file=sys.stdout, flush=True)


@contextmanager
def step(name: str, doing: str) -> Iterator[list[str]]:
    """Time the block and print `name`, what it yielded list holds at the end, and the seconds.

    `doing` is shown while the block runs longer than `PATIENCE_SECONDS`. A block that raises
    prints nothing: its error is the line to read.
    """
    done = threading.Event()
    watcher = threading.Thread(target=_tell_while_waiting, args=(name, doing, done), daemon=True)
    outcome: list[str] = []
    started = time.monotonic()
    watcher.start()
    try:
        yield outcome
        seconds = time.monotonic() - started
        say(f"  {name:<11} {' '.join(outcome) or 'done'}  ({seconds:.1f} s)")
    finally:
        done.set()
        watcher.join()


def _tell_while_waiting(name: str, doing: str, done: threading.Event) -> None:
    started = time.monotonic()
    wait_seconds = PATIENCE_SECONDS
    while not done.wait(wait_seconds):
        say(f"  {name:<11} {doing} ... {time.monotonic() - started:.0f} s")
        wait_seconds = REPEAT_SECONDS
