"""The short way of the usual event ends where the general road ends, or not at all."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.model import limits, personal, usual
from services.ingest.model.intake import Intake
from tests.unit.ingest.builders import taken, track
from tests.unit.ingest.test_property import NASTY, UNHURRIED, VALUES

TEXT = st.text(alphabet='aZ é한"\\/:{', min_size=1, max_size=8)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.just("track"),
        "messageId": TEXT | NASTY,
        "event": TEXT | st.sampled_from(["Signed Up", "user.signed_up", "Renamed"]),
        "context": st.fixed_dictionaries(
            {"groupId": TEXT | NASTY | st.integers()},
            optional={"library": VALUES, "ip": TEXT, "locale": TEXT},
        ),
        "properties": st.dictionaries(
            TEXT | st.sampled_from(["feature", "email", "IP", "$groups"]), VALUES, max_size=3
        ),
    },
    optional={
        "userId": TEXT | st.none(),
        "anonymousId": TEXT,
        "timestamp": st.datetimes().map(str) | TEXT,
        "originalTimestamp": st.datetimes().map(str) | st.none(),
        "sentAt": st.datetimes().map(str) | st.none(),
    },
)


def general(*events: dict[str, Any] | bytes, **reception: Any) -> Intake:
    """What the general road makes of the same events."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(usual, "read", lambda _: None)
        return taken(*events, **reception)


@UNHURRIED
@given(events=st.lists(EVENTS, min_size=1, max_size=4), is_history=st.booleans())
def test_both_ways_say_the_same_of_every_event(*, events: list[dict[str, Any]], is_history: bool):
    sources = [bytes_of(event) for event in events]
    options: dict[str, Any] = {
        "is_history": is_history,
        "sent_at": "2026-11-22T11:59:00Z",
        "event_mapping": {"Renamed": "user.signed_up"},
    }

    assert taken(*sources, **options) == general(*sources, **options)


def bytes_of(event: dict[str, Any]) -> bytes:
    """The event as a client may send it; what UTF-8 cannot hold is escaped."""
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:
        return json.dumps(event).encode()


def test_what_sdks_send_takes_the_short_way():
    event = track(
        context={"groupId": "acme", "library": {"name": "analytics-python"}},
        properties={"rows": 1200, "seats": None},
        anonymousId=None,
        timestamp="2026-11-01T12:00:00.123+00:00",
        integrations={},
    )

    assert usual.read(msgspec.json.encode(event)) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"type": "page"},
        {"messageId": ""},
        {"messageId": "m" * (limits.MESSAGE_ID_CHARACTERS + 1)},
        {"event": "e" * (limits.ID_CHARACTERS + 1)},
        {"userId": 42},
        {"sentAt": "2026-11-01T12:00:00Z"},
        {"context": None},
    ],
    ids=str,
)
def test_what_is_not_quite_usual_takes_the_general_road(change: dict[str, Any]):
    event = track(context={"groupId": "acme"}, properties={}) | change
    if event["context"] is None:
        del event["context"]

    assert usual.read(msgspec.json.encode(event)) is None


def test_a_personal_field_never_takes_the_short_way_out():
    event = track(context={"groupId": "acme"}, properties={"email": "ada@example.com"})

    (stamped,) = [stamped for _, stamped in taken(event).stamped]

    sent = msgspec.json.decode(stamped.payload)["data"]
    assert personal.may_hold(b'{"email":1}')
    assert (sent["personal"], "email" in sent.get("properties", {})) == (
        {"email": "ada@example.com"},
        False,
    )
