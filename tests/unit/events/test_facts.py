"""Reading billing facts: what is booked, and the precise reason for what is not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.events.billing import (
    Discount,
    FxRate,
    NpsResponse,
    ObjectName,
    ProviderObject,
    Refund,
    Status,
    SubscriptionState,
    account_of,
)
from shared.events.facts import BadFact, content_digest, fact_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ITEM = {"price": "seat", "interval": "month", "quantity": 2, "unit_amount": "100"}
STATE = {
    "id": "f1",
    "type": "subscription_state",
    "account": "acme",
    "subscription": "s1",
    "status": "active",
    "currency": "KRW",
    "effective_at": "2026-01-05T09:00:00Z",
    "items": [ITEM],
}
RATE = {"id": "r1", "type": "fx_rate", "currency": "usd", "month": "2026-01", "rate": "1300.5"}


def read(raw: Any) -> Any:
    return fact_of(raw, received_at=NOW)


def refused(raw: Any) -> tuple[str, str]:
    with pytest.raises(BadFact) as caught:
        read(raw)
    return caught.value.code, caught.value.message


def with_item(**fields: Any) -> dict[str, Any]:
    return {**STATE, "items": [{**ITEM, **fields}]}


def with_discount(**fields: Any) -> dict[str, Any]:
    return {**STATE, "discounts": [{"kind": "percent", "duration": "forever", **fields}]}


def test_a_state_is_read_with_its_defaults():
    state = read(STATE)

    assert isinstance(state, SubscriptionState)
    assert (state.source, state.seq, state.discounts, state.pause) == ("native", 0, (), None)
    assert state.status is Status.ACTIVE
    assert state.items[0].unit_amount == Decimal(100)
    assert state.items[0].interval_count == 1


def test_bytes_and_objects_read_alike():
    assert read(msgspec.json.encode(STATE)) == read(STATE)


def test_a_null_is_as_good_as_absent():
    nulls = {"discounts": None, "pause": None, "ends_at": None, "seq": None, "source": None}

    assert read({**STATE, **nulls}) == read(STATE)
    assert read(with_item(interval_count=None, tiers=None, usage_type=None)) == read(STATE)


def test_fields_of_tomorrow_are_not_read():
    assert read({**with_item(colour="red"), "mood": 7.5}) == read(STATE)


def test_a_currency_is_known_in_any_case():
    assert read({**STATE, "currency": "krw"}).currency == "KRW"
    rate = read(RATE)
    assert isinstance(rate, FxRate)
    assert (rate.currency, rate.rate) == ("USD", Decimal("1300.5"))


def test_a_whole_number_is_an_exact_amount():
    assert read(with_item(unit_amount=100)) == read(STATE)


def test_an_object_may_be_only_named_by_its_provider():
    state = read(
        {
            **with_item(unit_amount=None, tiers={"object_id": "price_1"}),
            "discounts": [{"object_id": "di_1"}],
        }
    )

    assert state.items[0].tiers == ObjectName(object_id="price_1")
    assert state.discounts == (Discount(object_id="di_1"),)


def test_the_last_tier_is_open_by_null_or_by_inf():
    tiers = [{"up_to": 5, "unit_amount": "2"}, {"up_to": "inf", "unit_amount": "1"}]
    open_ended = [tiers[0], {"unit_amount": "1"}]

    by_inf, by_absence = (
        read(with_item(unit_amount=None, tiers=each, tiers_mode="volume"))
        for each in (tiers, open_ended)
    )

    assert by_inf == by_absence


def test_what_a_provider_sent_may_hold_floats():
    told = {
        "id": "o1",
        "type": "provider_object",
        "source": "stripe",
        "object_id": "di_1",
        "object": {"coupon": {"percent_off": 12.5, "value": None, "amount": 1.5}},
    }

    fact = read(told)

    assert isinstance(fact, ProviderObject)
    assert fact.object == told["object"]


def test_noise_is_kept_whatever_it_holds():
    assert isinstance(read({"id": "n1", "type": "refund", "amount": 12.5}), Refund)


@pytest.mark.parametrize("score", [0, 10])
def test_an_answer_is_from_0_to_10(score: int):
    said = {
        "id": "a",
        "type": "nps_response",
        "account": "acme",
        "respondent": "ann",
        "effective_at": "2026-01-01T00:00:00Z",
    }

    assert isinstance(read({**said, "score": score}), NpsResponse)
    assert refused({**said, "score": score + (1 if score else -1)})[0] == "schema_violation"


def test_a_confirmation_may_come_after_the_end_it_confirms():
    ended = {**STATE, "status": "canceled", "ends_at": "2026-01-05T08:59:59Z"}

    assert read(ended).status is Status.CANCELED


BAD = [
    ("unknown_type", {**STATE, "type": "subscription"}, "type"),
    ("unknown_type", {**STATE, "type": ["fx_rate"]}, "type"),
    ("schema_violation", {name: STATE[name] for name in STATE if name != "type"}, "type"),
    ("schema_violation", {**STATE, "account": ""}, "account"),
    ("schema_violation", {**STATE, "account": "a\x00b"}, "account"),
    ("schema_violation", {**STATE, "account": None}, "account"),
    ("schema_violation", {**STATE, "source": "my shop"}, "source"),
    ("schema_violation", {**STATE, "status": "frozen"}, "status"),
    ("schema_violation", {**STATE, "effective_at": "2026-01-05T09:00:00"}, "effective_at"),
    ("schema_violation", {**STATE, "effective_at": 1767603600}, "effective_at"),
    ("schema_violation", {**STATE, "effective_at": None}, "effective_at"),
    ("schema_violation", {**STATE, "items": None}, "items"),
    ("schema_violation", {**STATE, "items": ["seat"]}, "items[0]"),
    ("schema_violation", with_item(quantity=1.5), "items[0].quantity"),
    ("schema_violation", with_item(usage_type="guessed"), "items[0].usage_type"),
    ("schema_violation", {**STATE, "pause": {"behavior": "sleep"}}, "pause.behavior"),
    ("unknown_currency", {**STATE, "currency": "DOGE"}, "currency"),
    ("unknown_currency", {**RATE, "currency": "XXX"}, "currency"),
    ("negative_quantity", with_item(quantity=-1), "items[0].quantity"),
    ("missing_quantity", with_item(quantity=None), "items[0].quantity"),
    ("bad_interval", with_item(interval_count=0), "items[0].interval_count"),
    ("bad_interval", with_item(interval_count=-1), "items[0].interval_count"),
    ("bad_interval", with_item(interval="fortnight"), "items[0].interval"),
    ("bad_interval", with_item(interval=None), "items[0].interval"),
    ("missing_price", with_item(price=None), "items[0].price"),
    ("missing_price", with_item(unit_amount=None), "items[0]"),
    ("missing_price", with_item(unit_amount=None, tiers=[], tiers_mode="volume"), "tiers"),
    ("bad_tiers", with_item(tiers=[{"unit_amount": "1"}]), "tiers_mode"),
    ("bad_tiers", with_item(tiers=[{"up_to": 5}, {"up_to": 5}], tiers_mode="volume"), "tiers"),
    ("bad_tiers", with_item(tiers=[{}, {"up_to": 5}], tiers_mode="volume"), "tiers"),
    ("bad_tiers", with_item(tiers=[{"up_to": 5}], tiers_mode="volume", quantity=6), "tiers"),
    ("bad_tiers", with_item(tiers=[{"up_to": 5}], tiers_mode="volume", quantity=5), "items[0]"),
    ("float_amount", with_item(unit_amount=99.9), "items[0].unit_amount"),
    ("float_amount", with_item(tiers=[{"flat_amount": 1.0}], tiers_mode="volume"), "flat_amount"),
    ("float_amount", with_discount(value=12.5), "discounts[0].value"),
    ("float_amount", {**RATE, "rate": 1300.5}, "rate"),
    ("bad_amount", with_item(unit_amount="1e5"), "items[0].unit_amount"),
    ("bad_amount", with_item(unit_amount="NaN"), "items[0].unit_amount"),
    ("bad_amount", with_item(unit_amount="1,000"), "items[0].unit_amount"),
    ("bad_amount", with_item(unit_amount=""), "items[0].unit_amount"),
    ("bad_amount", with_item(unit_amount=True), "items[0].unit_amount"),
    ("bad_amount", with_item(unit_amount="\u0661"), "items[0].unit_amount"),
    ("too_many_digits", with_item(unit_amount="1" * 40), "items[0].unit_amount"),
    ("too_many_digits", with_item(unit_amount=10**40), "items[0].unit_amount"),
    ("too_many_digits", with_item(unit_amount="1" * 19), "items[0].unit_amount"),
    ("too_many_digits", with_item(unit_amount="0." + "1" * 19), "items[0].unit_amount"),
    ("negative_amount", with_item(unit_amount="-1"), "items[0].unit_amount"),
    ("negative_amount", with_item(tiers=[{"flat_amount": "-1"}], tiers_mode="volume"), "flat"),
    ("negative_amount", with_discount(value="-1"), "discounts[0].value"),
    ("negative_amount", with_item(tax_behavior="inclusive", tax_percent="-1"), "tax_percent"),
    ("bad_percent", with_discount(value="100.01"), "discounts[0].value"),
    ("bad_discount", with_discount(), "discounts[0].value"),
    ("bad_discount", {**STATE, "discounts": [{}]}, "discounts[0]"),
    ("bad_rate", {**RATE, "rate": "0"}, "rate"),
    ("bad_rate", {**RATE, "rate": "-1300"}, "rate"),
    ("schema_violation", {**RATE, "month": "2026-13"}, "month"),
    ("schema_violation", {**RATE, "month": "2026-1"}, "month"),
    ("end_before_start", {**STATE, "ends_at": "2026-01-05T08:59:59Z"}, "ends_at"),
    (
        "end_before_start",
        with_discount(value="1", start="2026-02-01T00:00:00Z", end="2026-01-31T23:59:59Z"),
        "discounts[0].end",
    ),
    ("malformed", b"{", ""),
    ("malformed", b"[]", ""),
    ("malformed", b'"fact"', ""),
    ("malformed", b'{"id": "\xff"}', ""),
    ("malformed", b"[" * 5000, ""),
]


@pytest.mark.parametrize(("code", "raw", "where"), BAD)
def test_what_cannot_be_booked_is_refused_with_its_reason_and_field(
    code: str, raw: Any, where: str
):
    found, message = refused(raw)

    assert found == code
    assert where in message


def test_the_message_shows_the_offending_value_and_never_all_of_it():
    assert "'DOGE'" in refused({**STATE, "currency": "DOGE"})[1]
    assert len(refused(with_item(unit_amount="1" * 10_000))[1]) < 250


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (NOW - timedelta(days=20 * 365), "too_old"),
        (NOW + timedelta(days=10 * 365), "too_far_ahead"),
    ],
)
def test_a_fact_of_another_age_is_a_wrong_year(at: datetime, code: str):
    inside = timedelta(seconds=1) if code == "too_old" else -timedelta(seconds=1)

    assert refused({**STATE, "effective_at": at.isoformat()})[0] == code
    assert refused({**STATE, "recorded_at": at.isoformat()})[0] in (code, "recorded_in_future")
    assert read({**STATE, "effective_at": (at + inside).isoformat()})


def test_nothing_was_recorded_in_the_future_but_for_a_clock_that_is_ahead():
    at = NOW + timedelta(minutes=5)

    assert read({**STATE, "recorded_at": at.isoformat()})
    later = (at + timedelta(seconds=1)).isoformat()
    assert refused({**STATE, "recorded_at": later})[0] == "recorded_in_future"


def test_18_digits_on_either_side_of_the_point_are_kept_exactly():
    amount = f"{'9' * 18}.{'9' * 18}"

    assert str(read(with_item(unit_amount=amount)).items[0].unit_amount) == amount


def test_content_is_equal_whatever_its_spelling():
    spelled = {
        **STATE,
        "source": "native",
        "seq": 0,
        "currency": "krw",
        "effective_at": "2026-01-05T18:00:00+09:00",
        "recorded_at": "2026-05-05T00:00:00Z",
        "items": [{**ITEM, "unit_amount": "100.00", "usage_type": "licensed", "tiers": None}],
    }

    assert content_digest(spelled, read(spelled)) == content_digest(STATE, read(STATE))


@pytest.mark.parametrize(
    "other",
    [
        {**STATE, "status": "past_due"},
        {**STATE, "effective_at": "2026-01-05T09:00:01Z"},
        {**STATE, "seq": 1},
        {**STATE, "note": "x"},
        with_item(quantity=3),
        with_item(colour="red"),
    ],
)
def test_content_differs_where_any_field_but_the_record_time_does(other: dict[str, Any]):
    assert content_digest(other, read(other)) != content_digest(STATE, read(STATE))


def test_the_account_of_a_fact_is_the_one_it_speaks_of():
    assert account_of(read(STATE)) == "acme"
    assert account_of(read({"id": "n", "type": "usage", "account": "acme"})) == "acme"
    assert account_of(read(RATE)) is None
    assert account_of(read({"id": "v", "type": "void", "target": "f1"})) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = (*STATE, "discounts", "pause", "ends_at", "seq", "recorded_at", "target", "month", "rate")


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    changed=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=3),
    of_item=st.dictionaries(
        st.sampled_from((*ITEM, "tiers", "discounts")), json_values, max_size=2
    ),
)
def test_any_json_is_either_a_fact_or_refused_with_a_reason(
    changed: dict[str, Any], of_item: dict[str, Any]
):
    raw = {**with_item(**of_item), **changed}

    try:
        outcome = read(raw).id
    except BadFact as refusal:
        outcome = f"{refusal.code}: {refusal.message}"

    assert outcome
