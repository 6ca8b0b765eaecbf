"""From the bytes of a request to the source bytes of each event: inflate, and split.

What is no JSON within one event costs its neighbours nothing. Nothing here grows beyond its bound,
whatever is sent.
"""

import re
import zlib
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw

from services.ingest.model import limits
from services.ingest.model.context import Part
from services.ingest.model.refusals import (
    EmptyBatch,
    InvalidEncoding,
    InvalidJson,
    PayloadTooLarge,
)

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to say: with a gzip header


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


class _SentFacts(msgspec.Struct):
    facts: list[Raw] | None = None


class _SentAlone(msgspec.Struct, rename="camel"):
    write_key: object = None


_decode = msgspec.json.Decoder().decode
_decode_batch = msgspec.json.Decoder(_SentBatch).decode
_decode_facts = msgspec.json.Decoder(_SentFacts).decode
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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _split_batch(body)
    else:
        sources = [bytes(source) for source in sent.batch or ()]
        found = Batch(sources, sent.sent_at, sent.context, sent.write_key)
    return _bounded(found, most_events=most_events)


def _split_batch(body: bytes) -> Batch:
    """The same where some part cannot be parsed: each event stands for itself."""
    members = _members(body)
    return Batch(
        _split_list(members, b"batch"),
        _value(members.get(b"sentAt", b"null")),
        _context(members.get(b"context")),
        _value(members.get(b"writeKey", b"null")),
    )


def _split_list(members: dict[bytes, bytes], name: bytes) -> list[bytes]:
    if name not in members:
        raise InvalidJson(f"the body is no JSON, and holds no {name.decode()}")
    sources = _parts(members[name], _LIST)
    for source in sources:
        if source[:1] not in _BEGINNINGS:
            _require_scalar(source)
    return sources


def _require_scalar(source: bytes) -> None:
    """Raise InvalidJson where a place in the list holds nothing, or a word that JSON has not."""
    if isinstance(_value(source), bytes):
        raise InvalidJson(f"the batch holds what is no JSON: {source[:20]!r}")


def _context(source: bytes | None) -> Part:
    """A batch's context, which is of all events: halves of characters are replaced in it.

    Raises InvalidJson where it is no JSON even so.
    """
    if source is None:
        return UNSET
    is_small = len(source) <= limits.EVENT_BYTES
    mended = _SURROGATES.sub(_paired, source) if is_small else source
    try:
        _decode(mended)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(f"the batch's context: {error}") from error
    return Raw(mended)


def facts(body: bytes, *, most_facts: int) -> Batch:
    """The facts of a `{"facts": [..]}` body. Raises RequestRefused."""
    try:
        sources = [bytes(source) for source in _decode_facts(body).facts or ()]
    except msgspec.ValidationError as error:
        raise InvalidJson(f"the body is no list of facts: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        sources = _split_list(_members(body), b"facts")
    return _bounded(Batch(sources), most_events=most_facts)


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
        write_key = _decode_alone(body).write_key
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        write_key = member(body, b"writeKey")
    return Batch([body], write_key=write_key)


def _bounded(batch: Batch, *, most_events: int | None) -> Batch:
    if not batch.sources:
        raise EmptyBatch("the batch holds no event")
    if most_events is not None and len(batch.sources) > most_events:
        raise PayloadTooLarge(f"{len(batch.sources)} events in a body, {most_events} at most")
    return batch


# --- splitting what is no JSON -------------------------------------------------------------------
#
# An SDK's NaN, a raw newline in a text or a value nested beyond any stack stops every parser, but
# brackets, commas and quotes still tell where each event begins and ends. The expressions only hop
# from one of these to the next: possessive, so that none ever goes back over what it has read, and
# the depth is a count, so that nesting costs no stack.

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NEAR = _TEXT
for _ in range(2):  # a list or object that holds few levels is read in one hop
    _NEAR = _TEXT + rb'|[\[{](?:[^"\[\]{}]++|' + _NEAR + rb")*+[\]}]"
_TO_COMMA = re.compile(rb'(?:[^"\[\]{},]++|' + _NEAR + rb")*+", re.DOTALL)
_TO_BRACKETS = re.compile(rb'(?:[^"\[\]{}]++|' + _NEAR + rb")*+([\[{]*+)([\]}]*+)", re.DOTALL)
_NAME = re.compile(rb"(" + _TEXT + rb")[ \t\r\n]*+:[ \t\r\n]*+", re.DOTALL)
# A pair, an escaped backslash (so that what follows it is text), or half a pair.
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F]..)"
)
_PLACE = re.compile(r"\(byte (\d+)\)")  # as the parser says it

# The largest body holds fewer events that could be accepted: none is shorter than 26 bytes.
_MOST_PARTS = 200_000
_MOST_HOPS = 500_000  # a quarter of a second; a full body of real events takes a tenth of them
_MOST_ADJACENT = 100  # values without a comma between them; more than one is an error of its part
_OBJECT = b"{}"
_LIST = b"[]"
_BEGINNINGS = (b"{", b"[", b'"')
_SPACE = b" \t\r\n"
_CONTROLS = {bytes([code]) for code in range(0x20)}


def member(source: bytes, name: bytes) -> object:
    """The value of one member of an object that is no JSON; None without it.

    Bytes, which no JSON value is, where that value itself is no JSON. Raises InvalidJson where the
    object has no beginning, no end or no members.
    """
    return _value(_members(source).get(name, b"null"))


def fault(source: bytes, error: Exception) -> str | None:
    """What makes an object no JSON, in words, given what the parser said to it.

    None where it is not even the beginning and the end of an object.
    """
    try:
        _parts(source, _OBJECT)
    except InvalidJson:
        return None
    if isinstance(error, RecursionError):
        return "nested far too deep"
    if any(half[1] for half in _SURROGATES.finditer(source)):
        return "a lone surrogate: half of a character"
    return _at_place(source, str(error))


def _at_place(source: bytes, said: str) -> str:
    """What the parser said, in plainer words where it is known what stands at that place."""
    place = _PLACE.search(said)
    if place is None:
        return said
    at = int(place[1])
    if source.startswith((b"NaN", b"Infinity"), at):
        return f"NaN and Infinity are no JSON: send null (byte {at})"
    if source[at : at + 1] in _CONTROLS:
        return f"a raw control character: JSON has it escaped, within a text (byte {at})"
    return said


def _members(source: bytes) -> dict[bytes, bytes]:
    """The bytes of each value of the object that `source` is, by name as written."""
    members = {}
    for part in _parts(source, _OBJECT):
        name = _NAME.match(part)
        if name is None:
            raise InvalidJson(f"no JSON: an object with a member without name, {part[:20]!r}")
        members[name[1][1:-1]] = part[name.end() :]
    return members


def _parts(source: bytes, brackets: bytes) -> list[bytes]:
    """What stands between the commas of the one list or object that `source` is.

    Raises InvalidJson where it is none, or where its end is not its own.
    """
    source = source.strip(_SPACE)
    if not source.startswith(brackets[:1]):
        raise InvalidJson(f"no JSON: {source[:20]!r} where {brackets.decode()} has to stand")
    parts: list[bytes] = []
    end = 0
    while end == 0 or source[end : end + 1] == b",":
        start, end = end + 1, _end(source, end + 1)
        parts.append(source[start:end].strip(_SPACE))
        if len(parts) > _MOST_PARTS or (parts[-1] == b"" and len(parts) > 1):
            raise InvalidJson(f"no JSON: too many commas, up to byte {end}")
    if source[end:] != brackets[1:]:
        raise InvalidJson(f"no JSON: {brackets.decode()} is not closed, or not at byte {end}")
    return [] if parts == [b""] else parts


def _end(source: bytes, start: int) -> int:
    """The index behind the part that begins at `start`: of a comma or bracket that is not its own.

    At the end of `source`, or at a text that is not closed, where there is none.
    """
    end = _reached(_TO_COMMA, source, start)
    for _ in range(_MOST_ADJACENT):
        if source[end : end + 1] not in (b"{", b"["):
            break
        end = _reached(_TO_COMMA, source, _closed(source, end))
    return end


def _closed(source: bytes, opening: int) -> int:
    """The index behind the bracket that closes the one at `opening`; of the end without one."""
    depth = 0
    for hop in islice(_TO_BRACKETS.finditer(source, opening), _MOST_HOPS):
        opened, closed = hop.span(2)
        depth += opened - hop.start(1)
        if depth <= closed - opened:
            return opened + depth
        depth -= closed - opened
        if hop.start(1) == closed:
            break
    return len(source)


def _reached(expression: re.Pattern[bytes], source: bytes, start: int) -> int:
    found = expression.match(source, start)
    assert found is not None, "these expressions match also where nothing stands"
    return found.end()


def _value(source: bytes) -> object:
    """The value of these bytes; the bytes themselves, which no JSON value is, if they are none."""
    try:
        return _decode(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return source


def _paired(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1] is None else b"\\ufffd"
