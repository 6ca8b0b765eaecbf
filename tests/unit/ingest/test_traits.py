"""Traits read into fields: their names, their types, and what is left alone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.ingest.builders import data_of, only, refusal

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def person(context: dict[str, Any] | None = None, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "u", "traits": traits, "context": context}


def account(**traits: Any) -> dict[str, Any]:
    return {"type": "group", "userId": "u", "groupId": "g", "traits": traits}


@pytest.mark.parametrize(
    "name", ["signed_up_at", "signedUpAt", "created_at", "createdAt", "created"]
)
@pytest.mark.parametrize(
    "value", ["2026-01-01T00:00:00Z", "2026-01-01", 1767225600, 1767225600.0, 1767225600000]
)
def test_sign_up_is_read_from_any_of_its_names_and_forms(name: str, value: Any):
    assert only(person(**{name: value})).event.signed_up_at == NEW_YEAR
    assert only(account(**{name: value})).event.signed_up_at == NEW_YEAR


def test_first_name_of_a_field_wins():
    event = only(person(created_at="2020-01-01", signed_up_at="2026-01-01"))

    assert event.event.signed_up_at == NEW_YEAR


def test_null_passes_to_the_next_name():
    assert only(person(signed_up_at=None, created_at="2026-01-01")).event.signed_up_at == NEW_YEAR


@pytest.mark.parametrize("name", ["time_zone", "timeZone", "timezone"])
def test_zone_is_read_from_any_of_its_names(name: str):
    traits: dict[str, Any] = {name: "Asia/Seoul"}

    assert only(person(**traits)).event.time_zone == "Asia/Seoul"


def test_zone_and_locale_of_a_person_are_read_from_the_context_last():
    context: dict[str, Any] = {"timezone": "Europe/Paris", "locale": "fr"}

    from_context = only(person(context)).event
    from_traits = only(person(context, timezone="Asia/Seoul", language="ko")).event

    assert (from_context.time_zone, from_context.locale) == ("Europe/Paris", "fr")
    assert (from_traits.time_zone, from_traits.locale) == ("Asia/Seoul", "ko")


def test_all_fields_of_an_account_are_read():
    traits: dict[str, Any] = {
        "name": "Acme",
        "planName": "team",
        "tier": "important",
        "tags": ["a"],
        "icpScore": 80,
        "seats": 0,
        "pricingModel": "seat",
        "lifecycleStage": "adoption",
        "externalIds": {"stripe": "cus_1"},
        "synthetic": True,
        "owner": "ada@example.com",
    }

    event = only(account(**traits))

    assert event.event.name == "Acme"
    assert event.event.plan == "team"
    assert event.event.tier == "important"
    assert event.event.tags == ["a"]
    assert event.event.icp_score == 80
    assert event.event.seats == 0
    assert event.event.pricing_model == "seat"
    assert event.event.lifecycle_stage == "adoption"
    assert event.event.external_ids == {"stripe": "cus_1"}
    assert event.event.synthetic is True
    assert event.event.owner == "ada@example.com"
    assert data_of(event)["traits"] == traits


@pytest.mark.parametrize(
    "traits",
    [
        {"seats": "40"},
        {"seats": -1},
        {"seats": 1.5},
        {"icp_score": 101},
        {"tags": "a"},
        {"plan": {"name": "x"}},
        {"synthetic": "yes"},
        {"external_ids": {"stripe": 5}},
        {"created_at": "yesterday"},
        {"created_at": {}},
        {"created_at": 1e18},
    ],
)
def test_known_field_of_the_wrong_type_is_refused(traits: dict[str, Any]):
    assert refusal(account(**traits)) == "schema_violation"


def test_text_outside_a_closed_set_is_kept_but_not_read():
    event = only(person(role="Engineer"))

    assert event.event.role is None
    assert data_of(event)["traits"] == {"role": "Engineer"}


def test_traits_stand_byte_for_byte_where_nothing_is_personal():
    source = b'{"type":"group","userId":"u","groupId":"g","traits":{ "plan" : "x", "n":1.0 }}'

    assert bytes(only(source).event.traits) == b'{ "plan" : "x", "n":1.0 }'
