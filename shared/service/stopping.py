"""How a process ends: asked to by a signal, or by itself when it no longer gets on."""

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import structlog

from shared import telemetry
from shared.bus.consumer import Consumer

log = structlog.get_logger()


def stop_on_signals(stopping: asyncio.Event, *, hard_after_seconds: float) -> None:
    """SIGTERM and SIGINT ask to stop; a stop that takes too long becomes a hard exit.

    A hard exit is safe: the transaction is the unit, and what was acknowledged stands.
    """

    def stop() -> None:
        log.info("stopping")
        stopping.set()
        timer = threading.Timer(hard_after_seconds, os._exit, args=(1,))
        timer.daemon = True
        timer.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


class Stalled(RuntimeError):
    """A lane has work and makes no progress: only a restart is known to help."""


async def watch(
    service: str, consumers: Sequence[Consumer], *, watchdog_seconds: float, stopping: asyncio.Event
) -> None:
    """Measure how late the loop wakes, and end the process when a lane stands still."""
    every = 1.0
    while not stopping.is_set():
        before = monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), every)
        telemetry.LOOP_LAG_SECONDS.labels(service).set(max(0.0, monotonic() - before - every))
        for consumer in consumers:
            state = consumer.state
            stuck = state.idle_seconds() > watchdog_seconds
            if stuck and not state.stopped_because and not state.waiting_for:
                raise Stalled(f"lane {consumer.lane.name}: {state.lag} records, no progress")
