"""Whatever is sent: it is accepted and can be stored, or it is refused with a code."""

import json
import math
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.model import limits
from services.ingest.model.refusals import RequestRefused
from tests.unit.ingest.builders import batch, received, taken

# The first draw builds tables of all characters, which takes a busy machine a second.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CODES = {
    "missing_identity",
    "missing_event",
    "unknown_type",
    "schema_violation",
    "event_too_large",
    "invalid_json",
}
NASTY = st.sampled_from(
    ["\x00", "\ud800", "\udfff", "é", "😀", '"', "\\", "\\u0000", "\\ud800", "[{", "1e400", "\n"]
)
TEXT = st.lists(NASTY | st.text(max_size=5), max_size=4).map("".join)
NUMBERS = (
    st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            TEXT | st.sampled_from(["email", "feature", "$groups"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "page", "screen", "identify", "group", "alias", "x"]),
        "event": TEXT | st.just("Signed Up"),
        "userId": TEXT | NUMBERS | st.none(),
        "anonymousId": TEXT | st.none(),
        "groupId": TEXT,
        "previousId": TEXT,
        "messageId": TEXT,
        "name": TEXT,
        "timestamp": TEXT | st.datetimes().map(str) | NUMBERS,
        "sentAt": st.datetimes().map(str),
        "properties": st.dictionaries(TEXT, VALUES, max_size=4) | VALUES,
        "traits": st.dictionaries(
            TEXT | st.sampled_from(["email", "name", "seats", "created_at", "plan"]),
            VALUES,
            max_size=4,
        ),
        "context": st.dictionaries(
            st.sampled_from(["groupId", "library", "page", "locale", "timezone", "traits"]), VALUES
        ),
    },
)


def sent(event: dict[str, Any], *, ascii_only: bool) -> bytes:
    """As clients encode it: with escapes, or in UTF-8 (lone surrogates as some do)."""
    return json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


def storable(value: Any, depth: int) -> None:
    """Fail where jsonb, a 64-bit integer or a double could not hold `value`."""
    match value:
        case str():
            assert "\x00" not in value
            value.encode()
        case bool() | None:
            pass
        case int():
            assert -(2**63) <= value < 2**63
        case float():
            assert math.isfinite(value)
        case dict():
            assert depth <= limits.DEPTH
            for key, inner in value.items():
                storable(key, depth)
                storable(inner, depth + 1)
        case list():
            assert depth <= limits.DEPTH
            for inner in value:
                storable(inner, depth + 1)


@UNHURRIED
@given(events=st.lists(EVENTS, min_size=1, max_size=4), ascii_only=st.booleans())
def test_what_is_accepted_decodes_and_can_be_stored(
    events: list[dict[str, Any]], *, ascii_only: bool
):
    sources = [sent(event, ascii_only=ascii_only) for event in events]

    intake = taken(*sources)

    assert len(intake.stamped) + len(intake.refused) == len(events)
    assert {refused.code for refused in intake.refused} <= CODES
    for _, stamped in intake.stamped:
        event = received(stamped.payload, stamped.topic.name)
        # One level more: `data` stands in the envelope as the sent event stood alone.
        storable(msgspec.json.decode(stamped.payload), depth=0)
        assert event.envelope.partitionkey == stamped.key


@UNHURRIED
@given(events=st.lists(EVENTS, min_size=1, max_size=4), ascii_only=st.booleans())
def test_batch_is_split_into_exactly_the_sent_bytes(
    events: list[dict[str, Any]], *, ascii_only: bool
):
    sources = [sent(event, ascii_only=ascii_only) for event in events]

    found = batch(b'{"batch":[' + b" , ".join(sources) + b"]}")

    assert found.sources == sources


@UNHURRIED
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode()))
def test_any_bytes_are_a_batch_or_are_refused(body: bytes):
    with suppress(RequestRefused):
        assert batch(body).sources
