"""The load: one process that keeps some connections busy with batches, and counts the replies.

`python -m bench.load '{"port": ..., ...}'` prints what came back as one line of JSON. Bodies are
made before the first byte is sent; only the message ids change from request to request.
"""

import asyncio
import sys
import time
from itertools import count
from typing import cast

import msgspec
import uvloop

from bench.events import HOT, Body, happenings
from deploy.local.ports import HOST
from shared.clock import utc_now

DISTINCT_EVENTS = 20_000  # made once, then sent again and again under new ids
DRAIN_SECONDS = 120.0  # longest wait for the last replies


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, to whom, for how long. `run` begins all message ids, so it must be new."""

    port: int
    path: str
    key: str
    events_per_request: int
    connections: int
    seconds: float
    run: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered. `refused` counts replies other than 200, `first_refusal` shows one."""

    requests: int
    events: int
    refused: int
    first_refusal: str
    wall_seconds: float


class Connection(asyncio.Protocol):
    """Sends request after request until it is told to stop; one is on its way at a time."""

    def __init__(self, sender: "Sender") -> None:
        self._sender = sender
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no asyncio class, so there is nothing to check by.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._sender.answered(head, body)
        self._received = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server closed a connection: {exc!r}"))

    def _send(self) -> None:
        assert self._transport is not None
        request = self._sender.next_request()
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)


class Sender:
    """The requests of all connections, and the counts of their replies."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._bodies = _bodies(order)
        self._turns = count()
        self._until = float("inf")
        self._accepted = 0
        self._refused = 0
        self._first_refusal = ""

    async def run(self) -> Outcome:
        """Send for the ordered time, await every reply. Raises ConnectionError, TimeoutError."""
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        self._until = started + self._order.seconds
        opened = [
            await loop.create_connection(lambda: Connection(self), HOST, self._order.port)
            for _ in range(self._order.connections)
        ]
        limit = self._order.seconds + DRAIN_SECONDS
        await asyncio.wait_for(asyncio.gather(*[protocol.done for _, protocol in opened]), limit)
        wall_seconds = time.monotonic() - started
        for transport, _ in opened:
            transport.close()
        return Outcome(
            requests=self._accepted + self._refused,
            events=self._accepted * self._order.events_per_request,
            refused=self._refused,
            first_refusal=self._first_refusal,
            wall_seconds=wall_seconds,
        )

    def next_request(self) -> bytes | None:
        """Head and body of the next request; None when time is up."""
        if time.monotonic() >= self._until:
            return None
        turn = next(self._turns)
        body = self._bodies[turn % len(self._bodies)]
        text = body.numbered_from(turn * body.events)
        return self._head(len(text)) + text

    def answered(self, head: bytes, body: bytes) -> None:
        """Count one reply."""
        if head.startswith(b"HTTP/1.1 200 "):
            self._accepted += 1
            return
        self._refused += 1
        self._first_refusal = self._first_refusal or (head + body)[:500].decode("utf-8", "replace")

    def _head(self, length: int) -> bytes:
        return (
            f"POST {self._order.path} HTTP/1.1\r\nHost: {HOST}:{self._order.port}\r\n"
            f"Authorization: Bearer {self._order.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()


def _bodies(order: Order) -> list[Body]:
    made = list(happenings(HOT, DISTINCT_EVENTS, until=utc_now(), seed=7))
    size = order.events_per_request
    return [
        Body(made[start : start + size], run=order.run)
        for start in range(0, len(made) - size + 1, size)
    ]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"a reply without Content-Length: {head[:200]!r}")


def main() -> None:
    """Do what the one argument orders."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(Sender(order).run())).decode())


if __name__ == "__main__":
    main()
