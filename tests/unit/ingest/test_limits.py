"""Each limit at its boundary: what is refused, and that nothing else is."""

from typing import Any

import msgspec
import pytest

from services.ingest.model import limits
from services.ingest.model.context import require_small
from services.ingest.model.refusals import PayloadTooLarge
from tests.unit.ingest.builders import accepted, only, refusal, taken, track


def of_size(size: int) -> bytes:
    """A track event of exactly so many bytes."""
    empty = msgspec.json.encode(track(properties={"p": ""}))
    return msgspec.json.encode(track(properties={"p": "x" * (size - len(empty))}))


def nested(levels: int) -> dict[str, Any]:
    """Properties that make the event `levels` deep; the event itself is the first level."""
    value: Any = []
    for _ in range(levels - 3):
        value = [value]
    return {"deep": value}


def test_event_of_32_kib_is_accepted_and_one_byte_more_is_not():
    assert len(of_size(32 * 1024)) == limits.EVENT_BYTES
    assert accepted(of_size(32 * 1024))
    assert refusal(of_size(32 * 1024 + 1)) == "event_too_large"


@pytest.mark.parametrize("part", ["properties", "traits", "context"])
def test_event_16_levels_deep_is_accepted_and_one_more_is_not(part: str):
    kind = {"type": "identify"} if part == "traits" else {}

    assert accepted(track(**kind, **{part: nested(16)}))
    assert refusal(track(**kind, **{part: nested(17)})) == "schema_violation"


def test_brackets_within_text_are_no_depth():
    assert accepted(track(properties={"text": "[{" * 500}))


@pytest.mark.parametrize("number", ["9223372036854775807", "-9223372036854775808", "1e308", "-0.0"])
def test_number_within_64_bits_is_accepted_byte_for_byte(number: str):
    source = f'{{"type":"track","event":"E","userId":"u","properties":{{"n":{number}}}}}'.encode()

    event = only(source)

    assert bytes(event.event.properties) == f'{{"n":{number}}}'.encode()


@pytest.mark.parametrize(
    "number",
    [
        "9223372036854775808",
        "-9223372036854775809",
        "1e309",
        "-1E+400",
        "1" + "0" * 400,
        "9" * 9000,
    ],
)
@pytest.mark.parametrize("part", ["properties", "context"])
def test_number_beyond_64_bits_is_refused(number: str, part: str):
    value = f'{{"app":{{"n":{number}}}}}'
    source = f'{{"type":"track","event":"E","userId":"u","{part}":{value}}}'

    assert refusal(source.encode()) == "schema_violation"


def test_digits_within_text_are_no_number():
    assert accepted(track(properties={"card": "1" * 40, "id": "1e400", "uuid": "9c1e400f"}))


@pytest.mark.parametrize(
    "field", ["userId", "anonymousId", "event", "messageId", "properties", "context", "name"]
)
def test_nul_is_refused_wherever_it_would_be_stored(field: str):
    value: Any = "a\x00b"
    if field == "properties":
        value = {"x": {"y\x00": 1}}
    if field == "context":
        value = {"page": {"title": "\x00"}}
    kind = {"type": "page"} if field == "name" else {}

    assert refusal(track(**kind, **{field: value})) == "schema_violation"


def test_escaped_backslash_before_u0000_is_text():
    assert accepted(track(properties={"x": "\\u0000"}))


@pytest.mark.parametrize(
    "source",
    [
        b'{"type":"track","event":"E","userId":"u","properties":{"x":"\\ud800"}}',
        b'{"type":"track","event":"E","userId":"\\udc00"}',
        b'{"type":"track","event":"E","userId":"u","properties":{"x":"\xff"}}',
        b'{"type":"track","event":"E","userId":"u","properties":{"x":"\xed\xa0\x80"}}',
    ],
    ids=["lone surrogate", "in an id", "no UTF-8", "surrogate in UTF-8"],
)
def test_text_that_is_none_is_refused(source: bytes):
    assert refusal(source) == "schema_violation"


@pytest.mark.parametrize("field", ["userId", "anonymousId"])
def test_id_of_200_characters_is_accepted_and_201_is_not(field: str):
    assert accepted(track(**{field: "é" * 200}))
    assert refusal(track(**{field: "é" * 201})) == "schema_violation"


def test_message_id_of_100_characters_is_accepted_and_101_is_not():
    assert accepted(track(messageId="x" * 100))
    assert refusal(track(messageId="x" * 101)) == "schema_violation"


def test_refused_event_keeps_its_neighbours_and_its_bytes():
    bad = b'{"type":"track","userId":"u" , "messageId":"bad","properties":{"n":1e999},"event":"E"}'

    intake = taken(track(messageId="a"), bad, track(messageId="b", properties={"n": 1}))

    assert [(index, stamped.message_id) for index, stamped in intake.stamped] == [
        (0, "a"),
        (2, "b"),
    ]
    (refused,) = intake.refused
    assert (refused.index, refused.message_id) == (1, "bad")
    assert refused.source == bad


def test_id_of_any_script_is_an_id():
    event = track(userId="사용자 1", context={"groupId": "회사-é 😀"}, properties={})

    assert not taken(event).refused


def test_context_of_a_batch_is_bounded_as_an_event_is():
    within, beyond = (
        msgspec.Raw(b"{" + b" " * (size - 2) + b"}")
        for size in (limits.EVENT_BYTES, limits.EVENT_BYTES + 1)
    )

    require_small(within, events=1, limit_bytes=limits.BODY_BYTES)
    with pytest.raises(PayloadTooLarge):
        require_small(beyond, events=1, limit_bytes=limits.BODY_BYTES)


def test_context_of_a_batch_counts_for_each_of_its_events():
    context = msgspec.Raw(b"{" + b" " * 998 + b"}")
    most = 4 * limits.BODY_BYTES // 1000

    require_small(context, events=most, limit_bytes=limits.BODY_BYTES)
    with pytest.raises(PayloadTooLarge):
        require_small(context, events=most + 1, limit_bytes=limits.BODY_BYTES)
