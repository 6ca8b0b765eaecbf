"""How a process ends when it is asked to."""

import asyncio
import os
import signal
import threading

import structlog

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
