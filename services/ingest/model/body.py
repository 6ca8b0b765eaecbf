"""From the bytes of a request to the source bytes of each event: inflate, split, mend what can be.

Nothing here grows beyond its bound, whatever is sent.
"""

import re
import zlib
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw

from services.ingest.model.context import Part
from services.ingest.model.refusals import (
    EmptyBatch,
    InvalidEncoding,
    InvalidJson,
    PayloadTooLarge,
)

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to say: with a gzip header
DEPTH_KEPT = 64  # deeper values are cut out before the parser, whose stack is bounded, sees them


class Batch(NamedTuple):
    """The events of a request as sent, and what stands beside them."""

    sources: list[bytes]
    sent_at: object = None
    context: Part = UNSET
    write_key: object = None
    lines: list[int] | None = None
    """Of NDJSON: the number of the line on which each event stands, the first being 1."""


class _SentBatch(msgspec.Struct, rename="camel"):
    batch: list[Raw] | None = None
    sent_at: object = None
    context: Part = UNSET
    write_key: object = None


class _SentAlone(msgspec.Struct, rename="camel"):
    write_key: object = None


_decode_batch = msgspec.json.Decoder(_SentBatch).decode
_decode_alone = msgspec.json.Decoder(_SentAlone).decode


def inflated(body: bytes, encoding: str, *, limit_bytes: int) -> bytes:
    """The body itself, unpacked where `encoding` or its first bytes say that it is packed.

    Raises PayloadTooLarge as soon as it exceeds the limit, before the rest is inflated.
    """
    encoding = encoding.strip().lower()
    if body.startswith(GZIP_MAGIC):
        encoding = "gzip"
    match encoding:
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflated(body, GZIP_WINDOW, limit_bytes=limit_bytes)
        case "deflate":
            return _inflated(body, zlib.MAX_WBITS, limit_bytes=limit_bytes)
        case _:
            raise InvalidEncoding(f"Content-Encoding {encoding!r:.50}: send gzip or deflate")


def _inflated(body: bytes, window: int, *, limit_bytes: int) -> bytes:
    stream = zlib.decompressobj(window)
    try:
        whole = stream.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise InvalidEncoding(f"the body cannot be inflated: {error}") from error
    if len(whole) > limit_bytes:
        raise PayloadTooLarge(f"the body inflates to more than {limit_bytes} bytes")
    if not stream.eof:
        raise InvalidEncoding("the packed body ends too early")
    if stream.unused_data:
        raise InvalidEncoding("something stands behind the packed body")
    return whole


def batch(body: bytes, *, most_events: int | None) -> Batch:
    """The events of a `{"batch": [..]}` body. Raises RequestRefused."""
    try:
        sent = _decode_batch(body)
    except msgspec.ValidationError as error:
        raise InvalidJson(f"the body is no batch: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _mended_batch(body, error, most_events=most_events)
    sources = [bytes(source) for source in sent.batch or ()]
    return _bounded(
        Batch(sources, sent.sent_at, sent.context, sent.write_key), most_events=most_events
    )


def _mended_batch(body: bytes, error: Exception, *, most_events: int | None) -> Batch:
    """The same where some event cannot be parsed and the others can: each stands for itself."""
    mended = neutralised(body)
    try:
        sent = _decode_batch(mended)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidJson(f"the body is no JSON: {error}") from error
    sources, end = [], 0
    for event in sent.batch or ():
        start = mended.index(bytes(event), end)
        end = start + len(bytes(event))
        sources.append(body[start:end])
    return _bounded(
        Batch(sources, sent.sent_at, sent.context, sent.write_key), most_events=most_events
    )


def lines(body: bytes, *, most_events: int | None) -> Batch:
    """The events of an NDJSON body: one a line, blank lines left out. Raises RequestRefused."""
    numbered = [
        (number, stripped)
        for number, line in enumerate(body.split(b"\n"), start=1)
        if (stripped := line.strip())
    ]
    return _bounded(
        Batch([line for _, line in numbered], lines=[number for number, _ in numbered]),
        most_events=most_events,
    )


def alone(body: bytes) -> Batch:
    """The one event that is the whole body. Raises InvalidJson."""
    try:
        sent = _decode_alone(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            sent = _decode_alone(neutralised(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidJson(f"the body is no JSON object: {error}") from error
    return Batch([body], write_key=sent.write_key)


def _bounded(batch: Batch, *, most_events: int | None) -> Batch:
    if not batch.sources:
        raise EmptyBatch("the batch holds no event")
    if most_events is not None and len(batch.sources) > most_events:
        raise PayloadTooLarge(f"{len(batch.sources)} events in a body, {most_events} at most")
    return batch


# --- mending -------------------------------------------------------------------------------------

_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
# A pair, an escaped backslash (so that what follows it is text), or half a pair.
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F]..)"
)


def neutralised(body: bytes) -> bytes:
    """`body`, of the same length, without what stops a JSON parser but is the fault of one value.

    Lone surrogates become the replacement character, values nested beyond any use become 0.
    """
    mended = bytearray(body)
    depth, deep_from = 0, 0
    for token in _TOKENS.finditer(body):
        match token[0][:1]:
            case b'"':
                if b"\\u" in token[0] and depth <= DEPTH_KEPT:
                    mended[token.start() : token.end()] = _SURROGATES.sub(_paired, token[0])
            case b"{" | b"[":
                depth += 1
                if depth == DEPTH_KEPT + 1:
                    deep_from = token.start()
            case _:
                if depth == DEPTH_KEPT + 1:
                    mended[deep_from : token.end()] = b"0".ljust(token.end() - deep_from)
                depth -= 1
    return bytes(mended)


def _paired(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1] is None else b"\\ufffd"
