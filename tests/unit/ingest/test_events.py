"""What each call becomes: its type, its topic, its key, its fields."""

from typing import Any

import msgspec
import pytest

from shared.events.ingest import (
    AccountUpserted,
    UsagePageViewed,
    UsageScreenViewed,
    UsageTracked,
    UserAliased,
    UserIdentified,
)
from tests.unit.ingest.builders import NOON, accepted, data_of, only, refusal, taken, track

IN_ACME = {"context": {"groupId": "acme-inc"}}


def test_track_becomes_usage_of_its_account():
    event = only(track(**IN_ACME, properties={"feature": "reports", "rows": 1200}))

    assert event.topic == "ingest.usage.v1"
    assert type(event.event) is UsageTracked
    assert (event.event.event, event.event.feature) == ("Export", "reports")
    assert event.envelope.id == "default m-1"
    assert event.envelope.source == "default"
    assert event.envelope.messageid == "m-1"
    assert (event.envelope.workspace, event.envelope.subject) == ("acme", "acme-inc")
    assert event.envelope.partitionkey == "acme/acme-inc"
    assert event.envelope.recordedtime == NOON


def test_feature_is_the_event_where_properties_name_none():
    assert only(track()).event.feature == "Export"
    assert only(track(properties={"feature": 7})).event.feature == "Export"


def test_event_without_account_waits_under_its_person():
    event = only(track())

    assert event.topic == "ingest.unattributed.v1"
    assert event.envelope.subject is None
    assert event.envelope.partitionkey == "acme/~u-1"


def test_visitor_stands_for_the_person_where_no_user_is_known():
    event = only(track(userId=None, anonymousId="v-1"))

    assert event.envelope.partitionkey == "acme/~v-1"
    assert (event.event.user, event.event.anonymous) == (None, "v-1")


def test_import_goes_to_the_history_lane():
    assert only(track(**IN_ACME), is_history=True).topic == "ingest.usage.history.v1"


@pytest.mark.parametrize(
    ("groups", "account"),
    [({"company": "a"}, "a"), ({"team": 7, "company": "a"}, "a"), ({"x": "b"}, "b"), ({}, None)],
)
def test_account_is_read_from_posthogs_groups(groups: dict[str, Any], account: str | None):
    assert only(track(properties={"$groups": groups})).envelope.subject == account


@pytest.mark.parametrize(
    ("kind", "expected"), [("page", UsagePageViewed), ("screen", UsageScreenViewed)]
)
def test_page_and_screen_become_views(
    kind: str, expected: type[UsagePageViewed | UsageScreenViewed]
):
    event = only({"type": kind, "userId": "u", "name": "Pricing", "properties": {"path": "/p"}})

    assert isinstance(event.event, expected)
    assert (event.event.name, event.event.feature) == ("Pricing", "Pricing")


def test_page_without_name_is_known_by_its_path():
    assert only({"type": "page", "userId": "u", "properties": {"path": "/p"}}).event.feature == "/p"


def test_alias_joins_two_ids():
    event = only({"type": "alias", "userId": "u", "previousId": "v"})

    assert event.topic == "ingest.accounts.v1"
    assert event.event == UserAliased(user="u", previous_id="v")


def test_group_becomes_the_account_with_its_member():
    event = only({"type": "group", "userId": "u", "groupId": 42, "traits": {"plan": "team"}})

    assert event.topic == "ingest.accounts.v1"
    assert type(event.event) is AccountUpserted
    assert (event.envelope.subject, event.event.user, event.event.plan) == ("42", "u", "team")


@pytest.mark.parametrize("name", ["Signed Up", "SIGNED UP", "user.signed_up"])
def test_sign_up_is_a_fact_about_the_person_and_no_use(name: str):
    event = only(track(event=name, timestamp="2026-11-01T08:00:00Z", **IN_ACME))

    assert event.topic == "ingest.accounts.v1"
    assert type(event.event) is UserIdentified
    assert event.event.signed_up_at == event.envelope.time


def test_own_name_of_a_native_type_is_read_by_the_workspaces_mapping():
    mapping = {"Registrierung": "user.signed_up"}

    assert type(only(track(event="Registrierung"), event_mapping=mapping).event) is UserIdentified
    assert type(only(track(event="Registrierung")).event) is UsageTracked


def test_numbers_are_accepted_as_ids_and_kept_as_text():
    event = only(track(userId=42, context={"groupId": 7}))

    assert (event.event.user, event.envelope.subject) == ("42", "7")


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({}, "unknown_type"),
        ({"type": None, "userId": "u"}, "unknown_type"),
        ({"type": "Track", "userId": "u", "event": "E"}, "unknown_type"),
        ({"type": "track", "event": "E"}, "missing_identity"),
        ({"type": "track", "event": "E", "userId": "", "anonymousId": None}, "missing_identity"),
        ({"type": "alias", "anonymousId": "v", "previousId": "x"}, "missing_identity"),
        ({"type": "track", "userId": "u"}, "missing_event"),
        ({"type": "track", "userId": "u", "event": ""}, "missing_event"),
        ({"type": "track", "userId": "u", "event": 5}, "schema_violation"),
        ({"type": "track", "userId": {}, "event": "E"}, "schema_violation"),
        ({"type": "track", "userId": True, "event": "E"}, "schema_violation"),
        ({"type": "track", "userId": "u", "event": "E", "properties": []}, "schema_violation"),
        ({"type": "track", "userId": "u", "event": "E", "context": "x"}, "schema_violation"),
        ({"type": "track", "userId": "u", "event": "E", "messageId": 5}, "schema_violation"),
        ({"type": "identify", "userId": "u", "traits": "x"}, "schema_violation"),
        ({"type": "group", "userId": "u"}, "schema_violation"),
        ({"type": "alias", "userId": "u"}, "schema_violation"),
    ],
)
def test_event_that_cannot_be_accepted_says_why(event: dict[str, Any], code: str):
    assert refusal(event) == code


def test_text_where_an_object_belongs_is_refused():
    assert refusal(b'"track"') == "schema_violation"


def test_line_that_is_no_json_is_refused():
    assert refusal(b"{not json") == "invalid_json"


def test_path_gives_the_type():
    assert type(only({"userId": "u", "event": "E"}, call="track").event) is UsageTracked


def test_event_without_id_gets_one_that_is_told():
    intake = taken(track(messageId=None), track(messageId=""), {"type": "x"})

    assert intake.assigned == [(0, "given-1"), (1, "given-2"), (2, "given-3")]
    assert [stamped.message_id for _, stamped in intake.stamped] == ["given-1", "given-2"]
    assert intake.refused[0].message_id == "given-3"


def test_properties_stand_byte_for_byte_as_sent():
    source = b'{"type":"track","event":"E","userId":"u","properties":{ "a" : 1.00, "b":"\\u00e9" }}'

    assert bytes(only(source).event.properties) == b'{ "a" : 1.00, "b":"\\u00e9" }'


def test_context_is_carried_in_its_named_parts_only():
    context = {
        "library": {"name": "x"},
        "ip": "203.0.113.7",
        "userAgent": "y",
        "traits": {"email": "a@example.com"},
        "locale": "ko",
        "groupId": "g",
    }

    event = only(track(context=context))

    assert data_of(event)["context"] == {"library": {"name": "x"}, "locale": "ko"}
    assert b"203.0.113.7" not in bytes(event.envelope.data)
    assert b"example.com" not in bytes(event.envelope.data)


def test_batch_context_stands_under_each_events_own():
    first, second = accepted(
        track(messageId="1", context={"locale": "ko"}),
        track(messageId="2"),
        context={"groupId": "g", "locale": "en", "app": {"name": "a"}},
    )

    assert (first.envelope.subject, second.envelope.subject) == ("g", "g")
    assert data_of(first)["context"] == {"locale": "ko", "app": {"name": "a"}}
    assert data_of(second)["context"] == {"locale": "en", "app": {"name": "a"}}


def test_trace_of_the_sender_is_carried():
    trace = "00-09664ee53fd5c7ef19d152f36e2d7ff8-45e5e51bc972efe1-03"

    assert only(track(), traceparent=trace).envelope.traceparent == trace
    assert only(track(), traceparent='nonsense"').envelope.traceparent is None


def test_unknown_fields_are_let_through():
    assert accepted(track(integrations={"All": True}, _metadata={"nodeVersion": "20"}, version=2))


def test_encoded_event_is_one_json_object():
    ((_, stamped),) = taken(track(userId='quote " and \\ and \n', **IN_ACME)).stamped

    assert msgspec.json.decode(stamped.payload)["data"]["user"] == 'quote " and \\ and \n'
