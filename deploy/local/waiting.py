"""Waiting for a condition, and asking an asynchronous client from plain code."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

POLL_SECONDS = 0.03

Answer = TypeVar("Answer")


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float) -> bool:
    """Poll until `condition` holds; False when it did not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def ask(question: Coroutine[object, object, Answer]) -> Answer:
    """Run a coroutine to its end in a loop and thread of its own, so that a running loop is no bar.

    Keep it short: an interrupt is noticed only when it ends.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, question).result()
