"""A TCP proxy that delays, throttles, swallows, cuts and resets, for faults that need no root."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from deploy.local.ports import HOST

CHUNK_BYTES = 16_384
CALL_SECONDS = 10.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST instead of FIN


@dataclass
class Counters:
    """What the proxy has done: a fault that leaves no count here has not happened."""

    connections: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    delayed: int = 0
    swallowed_bytes: int = 0
    cut: int = 0
    reset: int = 0


@dataclass
class Faults:
    """What happens to bytes from now on, also on connections that stand. Defaults: nothing."""

    delay_seconds: float = 0.0
    bytes_per_second: float | None = None
    swallow_up: bool = False  # what clients send disappears; nobody is told
    swallow_down: bool = False  # what the server answers disappears: half-open
    cut_after_bytes: int | None = None  # of either direction of a connection, then it is closed


class FaultProxy:
    """Stands on a port of its own before a server on this machine; a context manager.

    Its loop runs in a thread, so that it goes on while a test waits. `target_port` may be given
    later: a broker has to know its proxy's port before it starts.
    """

    def __init__(self, target_port: int = 0) -> None:
        self.target_port = target_port
        self.faults = Faults()
        self.counters = Counters()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def heal(self) -> None:
        """Pass everything from now on. What was swallowed stays lost."""
        self.faults = Faults()

    def reset_all(self) -> int:
        """RST on every connection that stands, on both sides; how many."""
        count: int = self._call(self._reset())
        return count

    # --- in the proxy's own loop ---

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0.05)

    async def _reset(self) -> int:
        standing = list(self._writers)
        for writer in standing:
            found = writer.get_extra_info("socket")
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()
        self.counters.reset += len(standing) // 2
        return len(standing) // 2

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counters.connections += 1
        self._writers.add(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self.target_port)
        except OSError:
            writer.close()
            self._writers.discard(writer)
            return
        self._writers.add(server_writer)
        ways = [
            self._loop.create_task(self._pump(reader, server_writer, is_up=True)),
            self._loop.create_task(self._pump(server_reader, writer, is_up=False)),
        ]
        self._tasks.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, server_writer):
            one.close()
            self._writers.discard(one)
        self._tasks.difference_update(ways)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        """Carry one direction of a connection until it ends or is cut."""
        passed = 0
        with suppress(ConnectionError, asyncio.CancelledError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._hold_up(len(chunk))
                faults = self.faults
                if faults.swallow_up if is_up else faults.swallow_down:
                    self.counters.swallowed_bytes += len(chunk)
                    continue
                if faults.cut_after_bytes is not None:
                    chunk = chunk[: max(0, faults.cut_after_bytes - passed)]
                # Counted first: who has got the bytes may look at once.
                self._count(len(chunk), is_up=is_up)
                passed += len(chunk)
                writer.write(chunk)
                await writer.drain()
                if faults.cut_after_bytes is not None and passed >= faults.cut_after_bytes:
                    self.counters.cut += 1
                    return

    async def _hold_up(self, size: int) -> None:
        faults = self.faults
        seconds = faults.delay_seconds
        if faults.bytes_per_second:
            seconds += size / faults.bytes_per_second
        if seconds:
            self.counters.delayed += 1
            await asyncio.sleep(seconds)

    def _count(self, size: int, *, is_up: bool) -> None:
        if is_up:
            self.counters.bytes_up += size
        else:
            self.counters.bytes_down += size

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_SECONDS)
