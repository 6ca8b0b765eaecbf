"""HTTP to addresses that customers name: public machines only, and never where they point next.

A name is resolved once, every address it has is looked at, and the connection goes to the one that
was looked at. No redirect is followed, no proxy of the environment is used, and what comes back is
read up to a bound.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import ClassVar, NamedTuple
from urllib.parse import urlsplit

import httpcore

from shared.errors import PermanentError

PORTS = frozenset({443, 8443})
SECONDS = 5.0
ANSWER_BYTES = 64 * 1024
# Python calls these global: ways to reach inner addresses through an outer one.
TUNNELS = tuple(
    map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::ffff:0:0/96"))
)
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class ForbiddenTarget(PermanentError):
    """An address that we do not connect to, whoever asks."""

    code: ClassVar[str] = "target_forbidden"


class Answered(NamedTuple):
    """What came back; `body` cut off at its bound."""

    status: int
    body: bytes


class Silent(Exception):
    """No answer. `was_sent`: the request may have been read."""

    def __init__(self, why: str, *, was_sent: bool) -> None:
        super().__init__(why)
        self.was_sent = was_sent


def is_public(text: str) -> bool:
    """Whether an address is a machine of the public internet, by every reading of it."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if any(address.version == net.version and address in net for net in TUNNELS):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def require_target(url: str) -> None:
    """Raise ForbiddenTarget unless `url` is https to a port for it, without user or fragment."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError as error:
        raise ForbiddenTarget("the address cannot be read") from error
    if parts.scheme != "https" or not parts.hostname or port not in PORTS:
        raise ForbiddenTarget("only https at port 443 or 8443")
    if parts.username or parts.password or parts.fragment:
        raise ForbiddenTarget("no user, password or fragment in the address")
    if any(character <= " " or character == "\\" for character in url):
        raise ForbiddenTarget("control characters, spaces or backslashes in the address")


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address that the system knows for `host`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class Outbound:
    """Posts to addresses that customers name. One connection a request: none is kept open."""

    def __init__(self, *, resolver: Resolve = resolve, trust: ssl.SSLContext | None = None) -> None:
        self._resolver = resolver
        self._trust = trust or ssl.create_default_context()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """The answer. Raises ForbiddenTarget, and Silent where none came in time."""
        require_target(url)
        backend = _Pinned(self._resolver)
        try:
            async with (
                asyncio.timeout(SECONDS),
                httpcore.AsyncConnectionPool(
                    ssl_context=self._trust, network_backend=backend, max_connections=1
                ) as pool,
                pool.stream("POST", url, headers=list(headers.items()), content=body) as answer,
            ):
                return Answered(answer.status, await _bounded(answer.aiter_stream()))
        except ForbiddenTarget:
            raise
        except (OSError, TimeoutError, httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise Silent(type(error).__name__, was_sent=backend.connected) from error
        except httpcore.ProtocolError as error:
            raise Silent("no HTTP", was_sent=True) from error


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to an address that was looked at; never resolves a name again."""

    def __init__(self, resolver: Resolve) -> None:
        self._resolver = resolver
        self._inner = httpcore.AnyIOBackend()
        self.connected = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolver(host, port)
        if not addresses or not all(map(is_public, addresses)):
            raise ForbiddenTarget("the name leads to an address that is not public")
        stream = await self._inner.connect_tcp(
            addresses[0], port, timeout=timeout or SECONDS, local_address=local_address
        )
        self.connected = True
        return stream


async def _bounded(chunks: object) -> bytes:
    body = b""
    async for chunk in chunks:  # type: ignore[attr-defined]
        body += chunk
        if len(body) >= ANSWER_BYTES:
            break
    return body[:ANSWER_BYTES]
