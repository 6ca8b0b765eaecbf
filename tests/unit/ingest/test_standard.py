"""Standard Webhooks: what is ours stands as what it is, the rest as it came."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.ingest.model import limits, webhooks
from services.ingest.model.segment import Reception
from services.ingest.model.webhooks import Taken
from shared.events.base import Received
from shared.events.ingest import ExternalReceived, PaymentFailed
from tests.unit.ingest.builders import NOON, data_of, received

SENT = NOON - timedelta(seconds=10)


def taken(body: Any, message_id: str = "msg_1") -> Taken:
    source = body if isinstance(body, bytes) else msgspec.json.encode(body)
    reception = Reception(workspace="acme", source="standard", received_at=NOON)
    return webhooks.of_standard(
        source, reception, message_id=message_id, sent_at=SENT, new_id=lambda: "given"
    )


def only(body: Any) -> Received[Any]:
    outcome = taken(body)
    assert outcome.refused is None, outcome.refused
    (stamped,) = outcome.stamped
    return received(stamped.payload, stamped.topic.name)


def refusal(body: Any, message_id: str = "msg_1") -> tuple[str, str]:
    outcome = taken(body, message_id)
    assert outcome.refused is not None
    return outcome.refused.code, outcome.message_id


def test_webhook_of_another_type_stands_as_it_came():
    body = b'{ "type":"invoice.sent", "data": {"account":"acme-inc","n": 1.50} }'

    event = only(body)

    assert event.topic == "ingest.interactions.v1"
    assert type(event.event) is ExternalReceived
    assert event.event.event == "invoice.sent"
    assert bytes(event.event.payload) == body
    assert event.envelope.id == "standard msg_1"
    assert event.envelope.messageid == "msg_1"
    assert event.envelope.partitionkey == "acme/acme-inc"
    assert event.envelope.time == SENT


@pytest.mark.parametrize("data", [None, 7, "x", [], {}, {"account": 7}, {"account": ""}])
def test_webhook_that_names_no_account_belongs_to_the_workspace(data: Any):
    event = only({"type": "invoice.sent", "data": data})

    assert event.envelope.subject is None
    assert event.envelope.partitionkey == "acme/"


def test_webhook_without_data_stands_too():
    assert only({"type": "ping"}).event.event == "ping"


def test_time_of_the_body_counts():
    event = only({"type": "ping", "timestamp": "2026-11-20T08:00:00+09:00"})

    assert event.envelope.time == datetime(2026, 11, 19, 23, tzinfo=UTC)


@pytest.mark.parametrize("timestamp", [7, "soon", "0001-01-01T00:00:00Z", "2126-01-01T00:00:00Z"])
def test_time_that_is_none_gives_way_to_that_of_the_signature(timestamp: Any):
    assert only({"type": "ping", "timestamp": timestamp}).envelope.time == SENT


def test_native_type_stands_as_what_it_is():
    data = {"account": "acme-inc", "payment": "p-1", "amount": "5", "currency": "USD", "extra": 1}

    event = only({"type": "payment.failed.v1", "data": data})

    assert event.event == PaymentFailed(payment="p-1", amount="5", currency="USD")
    assert event.envelope.subject == "acme-inc"
    assert data_of(event) == {"payment": "p-1", "amount": "5", "currency": "USD", "extra": 1}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "schema_violation"),
        (b"{", "schema_violation"),
        (b"[]", "schema_violation"),
        (b"{}", "schema_violation"),
        (b'{"type":""}', "schema_violation"),
        (b'{"type":7}', "schema_violation"),
        (b'{"type":"a\\u0000"}', "schema_violation"),
        (b'{"type":"a","x":"\xff"}', "schema_violation"),
        (b'{"type":"' + b"a" * 201 + b'"}', "schema_violation"),
        (b'{"type":"a","x":' + b"[" * 20 + b"]" * 20 + b"}", "schema_violation"),
        (b'{"type":"payment.failed","data":{"amount":5}}', "schema_violation"),
        (b'{"type":"payment.failed","data":7}', "schema_violation"),
        (b'{"type":"payment.failed"}', "schema_violation"),
        (b'{"type":"deal.closed","data":{"account":"a"}}', "icp_score_required"),
        (b'{"type":"a","x":"' + b"a" * limits.EVENT_BYTES + b'"}', "event_too_large"),
    ],
)
def test_body_that_cannot_be_used_is_kept_with_a_reason(body: bytes, code: str):
    assert refusal(body) == (code, "msg_1")


def test_id_that_cannot_be_asked_for_is_given_anew():
    assert refusal({"type": "ping"}, message_id="m" * 201) == ("schema_violation", "given")
