"""From the bytes of a request to its events: packing, bounds, and what is mended."""

import gzip
import json
import zlib
from time import process_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from services.ingest.model import body as bodies
from services.ingest.model import limits
from services.ingest.model.refusals import (
    EmptyBatch,
    InvalidEncoding,
    InvalidJson,
    PayloadTooLarge,
)
from tests.unit.ingest.builders import batch, refusal, taken

PLAIN = b'{"batch":[{"type":"track"}]}'
ZIPPED = gzip.compress(PLAIN, mtime=0)  # it stands in names of tests: the same in every process


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PLAIN, ""),
        (PLAIN, "identity"),
        (ZIPPED, "gzip"),
        (ZIPPED, " GZIP "),
        (ZIPPED, ""),  # by its first two bytes
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
        (ZIPPED[:-4], "gzip"),
        (ZIPPED + ZIPPED, "gzip"),
        (ZIPPED + b"x", "gzip"),
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
    [
        b'{"x":"\\ud800"}',
        b'{"x":"\\udc00 \\ud83d"}',
        b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"x":NaN}',
        b'{"x":[-Infinity,{"y":[{"z":Infinity}]}]}',
        b'{"x":"one\nline, [and {another"}',
        b'{"x":"\x00"}',
        b'{"x":"\\q","y":"\\""}',
        b'{"x":tru}',
        b"{x:1}",
        b'{"x":1,}',
        b'{"x":[1}}',
        b'{"x":[[[1]]]} {"y":2} {"x":[[[1]]]}',
    ],
    ids=[
        "lone surrogate",
        "halves in the wrong order",
        "nested 5,000 deep",
        "NaN",
        "Infinity",
        "raw newline",
        "raw NUL",
        "no escape",
        "no word",
        "no text for a name",
        "trailing comma",
        "the wrong bracket",
        "no comma between two",
    ],
)
def test_one_unreadable_event_costs_its_neighbours_nothing(unreadable: bytes):
    good = b'{"y":"\\ud83d\\ude00 \\\\ud800"}'

    found = batch(b'{"batch":[' + good + b"," + unreadable + b"," + good + b"]}")

    assert found.sources == [good, unreadable, good]


def test_lines_are_numbered_from_one_and_blank_ones_skipped():
    found = bodies.lines(b'{"a":1}\n\n  \r\n{"b":2}\r\nno json', most_events=None)

    assert found.sources == [b'{"a":1}', b'{"b":2}', b"no json"]
    assert found.lines == [1, 4, 5]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"messageId":"m","x":{"y":NaN}}', "NaN and Infinity"),
        (b'{"messageId":"m","x":-Infinity}', "NaN and Infinity"),
        (b'{"x":"one\nline","messageId":"m"}', "control character"),
        (b'{"x":"\\q","messageId":"m"}', "invalid escape"),
        (b'{"messageId":"m","x":"\\ud800"}', "lone surrogate"),
        (b'{"x":' + b"[" * 5000 + b"]" * 5000 + b',"messageId":"m"}', "nested far too deep"),
        (b'{"messageId":"m","x":tru}', "invalid character"),
    ],
)
def test_event_that_is_no_json_is_refused_under_its_own_id_in_words(broken: bytes, reason: str):
    (refused,) = taken(broken).refused

    assert (refused.code, refused.message_id, refused.source) == ("schema_violation", "m", broken)
    assert reason in refused.message


@pytest.mark.parametrize("source", [b"{not json", b"no json", b'{"x":"}', b'{"x":1} {"y":2}'])
def test_what_is_not_even_one_object_in_brackets_is_no_json(source: bytes):
    assert refusal(source) == "invalid_json"


def test_what_stands_beside_a_broken_event_is_read():
    found = batch(
        b' {"sentAt" : "x", "other":NaN,"context":{"locale":"\\ud800"} , "writeKey":"k",'
        b'"batch": [ {"x":NaN} , 7 ] } '
    )

    assert found.sources == [b'{"x":NaN}', b"7"]
    assert (found.sent_at, found.write_key) == ("x", "k")
    assert isinstance(found.context, Raw)
    assert bytes(found.context) == b'{"locale":"\\ufffd"}'


def test_time_and_key_that_are_no_json_are_none():
    found = batch(b'{"batch":[{}],"sentAt":NaN,"writeKey":"a\nb"}')

    assert found.sources == [b"{}"]
    assert not isinstance(found.sent_at, str)
    assert found.sent_at is not None  # so that it is flagged
    assert not isinstance(found.write_key, str)


@pytest.mark.parametrize(
    "body",
    [
        b'{"batch":[{"x":NaN},{}',
        b'{"batch":[{"x":NaN},{}]',
        b'{"batch":[{"x":NaN},{}}]',
        b'{"batch":[{"x":NaN},{}]}]',
        b'{"batch":[{"x":NaN},{}],}',
        b'{"batch":[{"x":NaN},,{}]}',
        b'{"batch":[{"x":NaN},"]}',
        b'{"batch":[{"x":NaN},undefined]}',
        b'{"batch":{"x":NaN}}',
        b'{"other":[{"x":NaN}]}',
        b'[{"x":NaN}]',
        b'{"batch":[{"x":NaN}],"context":{"locale":NaN}}',
    ],
)
def test_body_broken_outside_of_its_events_is_refused(body: bytes):
    with pytest.raises(InvalidJson):
        batch(body)


def test_broken_events_count_as_others_do():
    with pytest.raises(PayloadTooLarge):
        batch(b'{"batch":[' + b'{"x":NaN},' * 2500 + b"{}]}")


def test_key_of_a_lone_event_is_read_though_it_is_no_json():
    found = bodies.alone(b'{"type":"track","properties":{"x":NaN},"writeKey":"k"}')

    assert found.write_key == "k"


VALUES = st.recursive(
    st.none() | st.floats() | st.text(alphabet='"\\[]{},:\n a\ud800'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=st.lists(st.dictionaries(st.text(max_size=3), VALUES), min_size=1, max_size=5))
def test_any_event_beside_a_broken_one_keeps_its_bytes(events: list[dict[str, object]]):
    sources = [json.dumps(event).encode() for event in events] + [b'{"x":NaN}']

    found = batch(b'{"batch" : [' + b" ,\n".join(sources) + b"]}")

    assert found.sources == sources


@pytest.mark.parametrize(
    "unit",
    [
        b"[",
        b'"',
        b"\\",
        b",",
        b"[]",
        b'""',
        b'\\"',
        b"x[",
        b"[1[]]",
        b"[[[]]],",
        b'{"a":1,',
        b"{},",
    ],
)
@pytest.mark.parametrize("before", [b"", b'{"batch":[{"x":NaN},', b'{"batch":[{"x":NaN,"y":"'])
def test_hostile_body_of_5_mib_is_split_in_linear_time(before: bytes, unit: bytes):
    body = before + unit * ((limits.IMPORT_BODY_BYTES - len(before)) // len(unit))

    started = process_time()
    with pytest.raises(InvalidJson):
        bodies.batch(body, most_events=None)

    assert process_time() - started < 5  # seconds; half of one is usual, a square takes hours
