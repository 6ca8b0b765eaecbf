"""From the bytes of a request to its events: packing, bounds, and what is mended."""

import gzip
import zlib

import pytest

from services.ingest.model import body as bodies
from services.ingest.model import limits
from services.ingest.model.refusals import (
    EmptyBatch,
    InvalidEncoding,
    InvalidJson,
    PayloadTooLarge,
)
from tests.unit.ingest.builders import batch

PLAIN = b'{"batch":[{"type":"track"}]}'


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PLAIN, ""),
        (PLAIN, "identity"),
        (gzip.compress(PLAIN), "gzip"),
        (gzip.compress(PLAIN), " GZIP "),
        (gzip.compress(PLAIN), ""),  # by its first two bytes
        (zlib.compress(PLAIN), "deflate"),
    ],
)
def test_body_is_unpacked_by_header_or_by_its_first_bytes(body: bytes, encoding: str):
    assert bodies.inflated(body, encoding, limit_bytes=1000) == PLAIN


def test_gzip_bomb_stops_at_the_limit():
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)

    with pytest.raises(PayloadTooLarge):
        bodies.inflated(bomb, "gzip", limit_bytes=limits.BODY_BYTES)


def test_body_may_inflate_to_exactly_the_limit():
    at_limit = b"x" * limits.BODY_BYTES

    assert len(bodies.inflated(gzip.compress(at_limit), "", limit_bytes=limits.BODY_BYTES))
    with pytest.raises(PayloadTooLarge):
        bodies.inflated(gzip.compress(at_limit + b"x"), "", limit_bytes=limits.BODY_BYTES)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(PLAIN)[:-4], "gzip"),
        (gzip.compress(PLAIN) + gzip.compress(PLAIN), "gzip"),
        (gzip.compress(PLAIN) + b"x", "gzip"),
        (PLAIN, "gzip"),
        (PLAIN, "deflate"),
        (PLAIN, "br"),
    ],
    ids=["truncated", "two members", "trailing", "not gzip", "not deflate", "unknown"],
)
def test_body_that_cannot_be_unpacked_is_refused(body: bytes, encoding: str):
    with pytest.raises(InvalidEncoding):
        bodies.inflated(body, encoding, limit_bytes=1000)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b'{"batch":{}}', b'{"batch":[1,]}', b'{"batch":[NaN]}', b"\xff"],
)
def test_body_that_is_no_batch_is_refused(body: bytes):
    with pytest.raises(InvalidJson):
        batch(body)


@pytest.mark.parametrize("body", [b"{}", b'{"batch":null}', b'{"batch":[]}'])
def test_batch_without_events_is_refused(body: bytes):
    with pytest.raises(EmptyBatch):
        batch(body)


def test_batch_of_2500_events_is_taken_and_one_of_2501_is_not():
    def of(count: int) -> bytes:
        return b'{"batch":[' + b",".join([b"{}"] * count) + b"]}"

    assert len(batch(of(2500)).sources) == 2500
    with pytest.raises(PayloadTooLarge):
        batch(of(2501))


def test_events_keep_their_bytes():
    found = batch(b'{"batch":[ {"a" : 1.0} ,{"b":"\\u00e9"}], "sentAt": "x", "writeKey": "k"}')

    assert found.sources == [b'{"a" : 1.0}', b'{"b":"\\u00e9"}']
    assert found.sent_at == "x"
    assert found.write_key == "k"


@pytest.mark.parametrize(
    "unreadable",
    [b'{"x":"\\ud800"}', b'{"x":"\\udc00 \\ud83d"}', b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"],
    ids=["lone surrogate", "halves in the wrong order", "nested 5,000 deep"],
)
def test_one_unreadable_event_costs_its_neighbours_nothing(unreadable: bytes):
    good = b'{"y":"\\ud83d\\ude00 \\\\ud800"}'

    found = batch(b'{"batch":[' + good + b"," + unreadable + b"," + good + b"]}")

    assert found.sources == [good, unreadable, good]


def test_lines_are_numbered_from_one_and_blank_ones_skipped():
    found = bodies.lines(b'{"a":1}\n\n  \r\n{"b":2}\r\nno json', most_events=None)

    assert found.sources == [b'{"a":1}', b'{"b":2}', b"no json"]
    assert found.lines == [1, 4, 5]
