"""Facts on their way in: checked one by one, stamped under the id of their acceptance."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.model import billing, body
from services.ingest.model.refusals import EmptyBatch, InvalidJson, PayloadTooLarge
from services.ingest.model.segment import Reception
from shared.events.base import Received
from shared.events.facts import BadFact, content_digest
from shared.events.facts import fact_of as read_fact
from shared.events.refusals import EventRefused
from tests.unit.ingest.builders import NOON, received

ITEM = {"price": "team", "interval": "month", "quantity": 40, "unit_amount": "11000"}
STATE = {
    "type": "subscription_state",
    "id": "f-1",
    "effective_at": "2026-01-05T00:00:00Z",
    "account": "acme-inc",
    "subscription": "s-1",
    "status": "active",
    "currency": "KRW",
    "items": [ITEM],
}
RATE = {"type": "fx_rate", "id": "r-1", "currency": "USD", "month": "2026-01", "rate": "1450.5"}


def stamped(fact: Any, *, may_backdate: bool = False) -> Received[Any]:
    source = fact if isinstance(fact, bytes) else msgspec.json.encode(fact)
    found = billing.stamp(
        billing.read(source),
        Reception(workspace="acme", source="default", received_at=NOON),
        acceptance="uuid-1",
        may_backdate=may_backdate,
    )
    return received(found.payload, found.topic.name)


def fact_of(event: Received[Any]) -> Any:
    return msgspec.json.decode(event.event.fact)


def refusal(fact: Any, *, may_backdate: bool = False) -> str:
    with pytest.raises((EventRefused, BadFact)) as refused:
        stamped(fact, may_backdate=may_backdate)
    return refused.value.code


def test_fact_is_recorded_under_its_account():
    event = stamped(STATE)

    assert event.topic == "ingest.billing.v1"
    assert event.envelope.type == "billing.fact_recorded.v1"
    assert event.envelope.subject == "acme-inc"
    assert event.envelope.partitionkey == "acme/acme-inc"
    assert event.envelope.time.isoformat() == "2026-01-05T00:00:00+00:00"
    assert event.envelope.recordedtime == NOON
    assert fact_of(event) == STATE | {"source": "native"}


def test_every_acceptance_has_an_id_of_its_own():
    event = stamped(STATE)

    assert event.envelope.id == "default f-1 uuid-1"
    assert event.envelope.messageid == "uuid-1"


def test_fact_of_no_account_is_recorded_under_the_workspace():
    event = stamped(RATE)

    assert (event.envelope.subject, event.envelope.partitionkey) == (None, "acme/")
    assert event.envelope.time == NOON


def test_source_of_a_fact_stays():
    event = stamped(RATE | {"source": "ecb"})

    assert fact_of(event)["source"] == "ecb"
    assert event.envelope.source == "default"


def test_each_value_is_carried_as_it_was_sent():
    source = (
        b'{"type":"fx_rate","id":"r","currency":"usd","month":"2026-01","rate":1450.50 ,'
        b'"note":[1.0, 2e3]}'
    )

    assert refusal(source) == "float_amount"
    event = stamped(source.replace(b"1450.50 ", b'"1450.50"'))
    assert b'"rate":"1450.50"' in bytes(event.event.fact)
    assert b"[1.0, 2e3]" in bytes(event.event.fact)


def test_record_time_of_a_migration_stands_beside_the_fact():
    event = stamped(STATE | {"recorded_at": "2026-02-01T00:00:00Z"}, may_backdate=True)

    assert event.event.recorded_at.isoformat() == "2026-02-01T00:00:00+00:00"
    assert "recorded_at" not in fact_of(event)


@pytest.mark.parametrize("said", ["2026-02-01T00:00:00Z", "2126-02-01T00:00:00Z", "soon", 7])
def test_record_time_counts_with_a_manage_key_only(said: Any):
    event = stamped(STATE | {"recorded_at": said})

    assert event.event.recorded_at is None
    assert "recorded_at" not in fact_of(event)


def test_record_time_to_come_is_refused():
    later = (NOON + timedelta(days=1)).isoformat()

    assert refusal(STATE | {"recorded_at": later}, may_backdate=True) == "recorded_in_future"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"currency": "XXX"}, "unknown_currency"),
        ({"items": [ITEM | {"quantity": -1}]}, "negative_quantity"),
        ({"items": [ITEM | {"interval_count": 0}]}, "bad_interval"),
        ({"items": [ITEM | {"interval": "fortnight"}]}, "bad_interval"),
        ({"items": [ITEM | {"unit_amount": None}]}, "missing_price"),
        ({"items": [ITEM | {"unit_amount": 0.1}]}, "float_amount"),
        ({"items": [ITEM | {"unit_amount": "1" * 40}]}, "too_many_digits"),
        ({"items": [ITEM | {"unit_amount": int("1" * 40)}]}, "too_many_digits"),
        ({"ends_at": "2026-01-01T00:00:00Z"}, "end_before_start"),
        ({"effective_at": "2006-01-01T00:00:00Z"}, "too_old"),
        ({"effective_at": "2046-01-01T00:00:00Z"}, "too_far_ahead"),
        ({"effective_at": "2026-01-05T00:00:00"}, "schema_violation"),
        ({"type": "mood"}, "unknown_type"),
        ({"id": None}, "schema_violation"),
        ({"id": ""}, "schema_violation"),
        ({"account": "a" * 201}, "schema_violation"),
        ({"note": "a\x00b"}, "schema_violation"),
        ({"note": 2**70}, "schema_violation"),
    ],
)
def test_fact_that_cannot_be_booked_is_refused_by_its_reason(wrong: dict[str, Any], code: str):
    assert refusal(STATE | wrong) == code


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (b"", "schema_violation"),
        (b"null", "schema_violation"),
        (b"[]", "schema_violation"),
        (b'{"id":NaN}', "schema_violation"),
        (b'{"id":"\xff"}', "schema_violation"),
        (b'{"id":"\\ud800"}', "schema_violation"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "schema_violation"),
        (b'{"x":"' + b"a" * billing.FACT_BYTES + b'"}', "event_too_large"),
    ],
)
def test_source_that_is_no_fact_is_refused(source: bytes, code: str):
    assert refusal(source) == code


@pytest.mark.parametrize("sent", [{}, {"id": 7}, {"id": None}])
def test_fact_without_an_id_claims_none(sent: dict[str, Any]):
    assert billing.claimed_id(billing.read(msgspec.json.encode(sent))) is None


# --- bodies -------------------------------------------------------------------------------------


def facts(source: bytes) -> list[bytes]:
    return body.facts(source, most_facts=billing.FACTS).sources


def test_facts_are_taken_in_the_order_sent():
    assert facts(b'{"facts":[{"id":1}, {"id":2}]}') == [b'{"id":1}', b'{"id":2}']


def test_fact_that_is_no_json_costs_its_neighbours_nothing():
    assert facts(b'{"facts":[{"a":NaN},{"b":1}],"other":1}') == [b'{"a":NaN}', b'{"b":1}']


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        (b"", InvalidJson),
        (b"[]", InvalidJson),
        (b'{"facts":7}', InvalidJson),
        (b'{"facts":[nonsense]}', InvalidJson),
        (b'{"fact":[NaN]}', InvalidJson),
        (b"{}", EmptyBatch),
        (b'{"facts":[]}', EmptyBatch),
        (b'{"facts":[' + b"{}," * 500 + b"{}]}", PayloadTooLarge),
    ],
)
def test_body_that_holds_no_facts_is_refused(source: bytes, refused: type[Exception]):
    with pytest.raises(refused):
        facts(source)


def test_500_facts_are_taken_at_once():
    assert len(facts(b'{"facts":[' + b"{}," * 499 + b"{}]}")) == 500


# --- whatever is sent ----------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["KRW", "month", "active", "1" * 40, "0.1", "2026-01-05T00:00:00Z", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ITEM, "tiers", "value", "x"]) | st.text(), inner)
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(
    [
        "subscription_state",
        "fx_rate",
        "void",
        "sales_and_marketing",
        "provider_object",
        "refund",
        "acquisition_cost",
        "nps_response",
    ]
)
FIELDS = [*STATE, *RATE, "target", "amount", "object_id", "object", "recorded_at", "ends_at"]
FIELD = st.sampled_from([*FIELDS, "discounts", "pause", "score"]) | st.text(max_size=5)
FACTS = (
    st.builds(
        lambda base, more: base | more,
        st.sampled_from([STATE, RATE]),
        st.dictionaries(FIELD, VALUES, max_size=4),
    )
    | st.builds(
        lambda kind, more: {"type": kind, "id": "f"} | more,
        TYPES,
        st.dictionaries(FIELD, VALUES, max_size=8),
    )
    | VALUES
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=400)
@given(sent=FACTS, may_backdate=st.booleans())
def test_any_fact_is_refused_or_read_by_the_ledger_as_it_was_here(sent: Any, *, may_backdate: bool):
    source = json.dumps(sent).encode()
    try:
        event = stamped(source, may_backdate=may_backdate)
    except (EventRefused, BadFact):
        return

    raw = bytes(event.event.fact)
    fact = read_fact(raw, received_at=NOON)
    said = {name: value for name, value in sent.items() if name != "recorded_at"}
    assert fact.recorded_at is None
    assert json.loads(raw) == {"source": "native"} | said
    assert content_digest(raw, fact) == content_digest(said, read_fact(said, received_at=NOON))
