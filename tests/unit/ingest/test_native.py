"""Contracts, concessions, deals and payments as tracks: facts of their own, read strictly."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.events.ingest import (
    ConcessionGranted,
    ContractCancelled,
    ContractUpserted,
    DealClosed,
    FeedbackReceived,
    OnboardingFee,
    PaymentFailed,
    UsageTracked,
    UserConsentChanged,
    UserRemoved,
)
from tests.unit.ingest.builders import data_of, only, refusal, track

IN_ACME = {"groupId": "acme-inc"}
CONTRACT = {"contract": "c-7", "starts_on": "2026-01-05", "auto_renew": True}
CONCESSION = {"kind": "credit", "value": "500000", "currency": "KRW", "by": "kim@example.com"}
DEAL = {"seller": "kim@example.com", "icp_score": 82, "purchased_at": "2026-01-05T09:00:00Z"}
PAYMENT = {"payment": "p-1", "amount": "33000", "currency": "KRW"}


def said(name: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return track(event=name, properties=fields, context=IN_ACME, **more)


def test_contract_is_a_fact_of_its_account():
    event = only(said("contract.upserted", CONTRACT | {"seats": 40, "value": "48000000.5"}))

    assert event.topic == "ingest.accounts.v1"
    assert event.envelope.subject == "acme-inc"
    assert event.envelope.partitionkey == "acme/acme-inc"
    assert event.envelope.id == "default m-1"
    assert event.event == ContractUpserted(
        user="u-1",
        contract="c-7",
        starts_on=date(2026, 1, 5),
        auto_renew=True,
        seats=40,
        value="48000000.5",
    )
    assert event.event.opt_out_days == 90


@pytest.mark.parametrize("name", ["contract.cancelled", "contract.cancelled.v1"])
def test_notice_of_a_contract_may_name_its_version(name: str):
    fields = {"contract": "c-7", "effective_on": "2026-12-31", "reason": "price"}

    event = only(said(name, fields)).event

    assert event == ContractCancelled(
        user="u-1", contract="c-7", effective_on=date(2026, 12, 31), reason="price"
    )


def test_concession_says_what_was_got_in_return():
    event = only(said("concession.granted", CONCESSION | {"in_return": "two years"})).event

    assert isinstance(event, ConcessionGranted)
    assert (event.kind, event.value, event.in_return) == ("credit", "500000", "two years")


def test_deal_says_how_well_the_account_fits():
    fee = {"charged": "0", "waived": True, "reason": "asked", "currency": "KRW"}

    event = only(said("deal.closed", DEAL | {"onboarding_fee": fee})).event

    assert isinstance(event, DealClosed)
    assert event.icp_score == 82
    assert event.purchased_at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert event.onboarding_fee == OnboardingFee(
        charged="0", waived=True, reason="asked", currency="KRW"
    )


@pytest.mark.parametrize("missing", [{}, {"icp_score": None}])
def test_deal_without_a_fit_has_a_reason_of_its_own(missing: dict[str, Any]):
    fields = {name: value for name, value in DEAL.items() if name != "icp_score"}

    assert refusal(said("deal.closed", fields | missing)) == "icp_score_required"


@pytest.mark.parametrize("name", ["succeeded", "failed", "refunded", "disputed"])
def test_payment_is_an_interaction(name: str):
    event = only(said(f"payment.{name}", PAYMENT | {"attempt": 2}))

    assert event.topic == "ingest.interactions.v1"
    assert event.envelope.type == f"payment.{name}.v1"
    assert event.event.attempt == 2


def test_payment_before_its_account_is_known_waits_under_its_person():
    event = only(track(event="payment.failed", properties=PAYMENT))

    assert type(event.event) is PaymentFailed
    assert event.envelope.partitionkey == "acme/~u-1"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("contract.upserted", CONTRACT),
        ("contract.cancelled", {"contract": "c", "effective_on": "2026-12-31", "reason": "x"}),
        ("concession.granted", CONCESSION),
        ("deal.closed", DEAL),
    ],
)
def test_what_is_agreed_needs_an_account(name: str, fields: dict[str, Any]):
    assert refusal(track(event=name, properties=fields)) == "schema_violation"


def test_customers_own_name_is_mapped():
    event = only(
        said("Contract Signed", CONTRACT), event_mapping={"Contract Signed": "contract.upserted"}
    )

    assert type(event.event) is ContractUpserted


def test_name_in_another_case_is_the_same():
    assert type(only(said("Contract.Upserted", CONTRACT)).event) is ContractUpserted


def test_unknown_fields_are_carried_on():
    event = only(said("contract.upserted", CONTRACT | {"signed_by": {"role": "cfo"}, "n": 1.50}))

    assert data_of(event) == CONTRACT | {"user": "u-1", "signed_by": {"role": "cfo"}, "n": 1.5}


def test_personal_fields_stand_in_their_one_place():
    event = only(said("contract.upserted", CONTRACT | {"email": "ada@example.com"}))

    assert data_of(event)["personal"] == {"email": "ada@example.com"}
    assert "email" not in data_of(event)


def test_null_is_as_good_as_absent():
    event = only(said("contract.upserted", CONTRACT | {"ends_on": None, "value": None})).event

    assert event.ends_on is None
    assert event.value is None


def test_currency_comes_in_any_case():
    assert only(said("payment.failed", PAYMENT | {"currency": "krw"})).event.currency == "KRW"


@pytest.mark.parametrize(
    "wrong",
    [
        {"contract": None},
        {"contract": ""},
        {"contract": 7},
        {"starts_on": "2026-02-30"},
        {"starts_on": "soon"},
        {"starts_on": "2026-01-05T00:00:00Z"},
        {"ends_on": "2026-01-04"},
        {"auto_renew": "yes"},
        {"auto_renew": None},
        {"term_months": 0},
        {"notice_days": -1},
        {"opt_out_days": 1.5},
        {"seats": -1},
        {"value": 48000000},
        {"value": 0.1},
        {"value": "1e6"},
        {"value": "-1"},
        {"value": "1" * 40},
        {"value": ""},
        {"currency": "XXX"},
        {"currency": 410},
        {"user": 7},
    ],
)
def test_contract_with_a_wrong_field_is_refused(wrong: dict[str, Any]):
    sent = said("contract.upserted", CONTRACT | wrong)
    if "user" in wrong:
        sent |= {"userId": None, "anonymousId": "v-1"}

    assert refusal(sent) == "schema_violation"


def test_contract_of_one_day_ends_when_it_starts():
    assert only(said("contract.upserted", CONTRACT | {"ends_on": "2026-01-05"})).event.ends_on


@pytest.mark.parametrize("properties", [None, {}])
def test_native_event_without_fields_is_refused(properties: Any):
    assert refusal(said("payment.failed", properties)) == "schema_violation"


@pytest.mark.parametrize("wrong", [{"kind": "gift"}, {"value": None}, {"by": None}])
def test_concession_with_a_wrong_field_is_refused(wrong: dict[str, Any]):
    assert refusal(said("concession.granted", CONCESSION | wrong)) == "schema_violation"


def test_name_that_only_looks_alike_is_use_of_the_product():
    assert type(only(said("contract upserted", CONTRACT)).event) is UsageTracked


def test_words_of_feedback_stand_in_personal_alone():
    fields = {"feedback": "f-1", "kind": "public_review", "rating": 2, "text": "Nobody answered."}

    event = only(said("feedback.received", fields))

    assert event.topic == "ingest.interactions.v1"
    assert isinstance(event.event, FeedbackReceived)
    assert data_of(event) == {
        "feedback": "f-1",
        "kind": "public_review",
        "rating": 2,
        "user": "u-1",
        "personal": {"text": "Nobody answered."},
    }


def test_words_sent_in_personal_stay_there():
    fields = {"feedback": "f-1", "kind": "praise", "personal": {"text": "Thank you."}}

    assert data_of(only(said("feedback.received", fields)))["personal"] == {"text": "Thank you."}


@pytest.mark.parametrize("wrong", [{"kind": "rant"}, {"feedback": ""}, {"personal": "words"}])
def test_feedback_with_a_wrong_field_is_refused(wrong: dict[str, Any]):
    fields = {"feedback": "f-1", "kind": "praise"} | wrong

    assert refusal(said("feedback.received", fields)) == "schema_violation"


def test_consent_names_its_topic():
    event = only(said("user.consent_changed", {"topic": "nps", "granted": False})).event

    assert event == UserConsentChanged(user="u-1", about="nps", granted=False)


def test_removal_speaks_of_a_person_in_an_account():
    event = only(said("user.removed", {}))

    assert event.event == UserRemoved(user="u-1")
    assert event.envelope.subject == "acme-inc"
