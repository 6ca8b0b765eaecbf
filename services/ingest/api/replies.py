"""What the edge answers with, and how it is sent."""

from http import HTTPStatus
from typing import NamedTuple

import msgspec
from starlette.types import Scope, Send

JSON = ((b"content-type", b"application/json"),)
PROBLEM = (b"content-type", b"application/problem+json")

encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def problem(status: int, code: str, message: str, *headers: tuple[bytes, bytes]) -> Reply:
    """problem+json with `success: false`, which Segment's clients know."""
    body = encode(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": int(status),
            "code": code,
            "message": message,
            "success": False,
        }
    )
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, (b"www-authenticate", b'Bearer, Basic realm="mainstay"'))
    return Reply(status, body, (PROBLEM, *headers))


async def send_reply(reply: Reply, scope: Scope, send: Send) -> None:
    """Send `reply`; to a browser with the origin that asked."""
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
    if origin is not None:
        headers += [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
    if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
