"""Waiting that ends when the process is asked to stop."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from shared.errors import MainstayError

T = TypeVar("T")


class Stopping(MainstayError):
    """The process was asked to stop while something was still under way. Nothing is lost."""

    code = "stopping"


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or less when `stopping` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def unless_stopped(work: Coroutine[Any, Any, T], stopping: asyncio.Event) -> T:
    """What `work` answers. Raises Stopping, and cancels it, when `stopping` is set before it ends.

    For what may wait long on others and may be broken off at any point; never for a transaction.
    """
    working = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Stopping("asked to stop")
    finally:
        working.cancel()
        asked.cancel()
