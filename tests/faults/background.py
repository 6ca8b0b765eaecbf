"""Work that goes on beside a block, in a thread and an event loop of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def beside(
    work: Callable[[], Coroutine[Any, Any, None]], ending: threading.Event
) -> Iterator[None]:
    """`work` runs for the block; then `ending` tells it to end, and it has ended behind it."""
    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
