"""The simulators' bodies: what may be said, what is answered."""

from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from services.cadence.api.simulate import (
    CadenceFacts,
    ContactQuestion,
    simulate_cadence,
    simulate_contact_sla,
)

SEOUL_TO_LOS_ANGELES = {
    "signup_at": "2025-06-02T00:00:30Z",
    "user_zone": "Asia/Seoul",
    "zone_events": [{"at": "2025-06-16T01:00:00Z", "kind": "moved", "zone": "America/Los_Angeles"}],
    "horizon": {"from": "2025-06-10T00:00:00Z", "to": "2025-06-24T00:00:00Z"},
}


async def simulated(**facts: Any) -> dict[str, Any]:
    answer = await simulate_cadence(CadenceFacts.model_validate_json(msgspec.json.encode(facts)))
    found: dict[str, Any] = msgspec.json.decode(answer.model_dump_json())
    return found


async def test_the_answer_has_the_fields_of_the_contract():
    assert await simulated(**SEOUL_TO_LOS_ANGELES) == {
        "anchor": {
            "weekday": "MON",
            "time": "09:00",
            "zone": "Asia/Seoul",
            "zone_source": "user",
        },
        "sends": ["2025-06-16T00:00:00Z", "2025-06-23T16:00:00Z"],
        "late_sends": [],
        "skips": [
            {
                "occurrence": "2025-06-16",
                "due_at": "2025-06-16T16:00:00Z",
                "reason": "too_close",
            }
        ],
        "resolved": {},
        "tzdata": "2026f",
    }


async def test_odd_local_times_are_told_by_civil_date():
    found = await simulated(
        signup_at="2025-02-23T07:30:00Z",
        user_zone="America/New_York",
        horizon={"from": "2025-03-01T00:00:00Z", "to": "2025-03-20T00:00:00Z"},
    )

    assert found["resolved"] == {"2025-03-09": "gap"}
    assert found["sends"][1] == "2025-03-09T07:30:00Z"


async def test_what_is_null_is_unknown():
    nothing = dict.fromkeys(
        [
            "ingested_at",
            "user_zone",
            "account_zone",
            "workspace_zone",
            "zone_events",
            "quiet",
            "grace_hours",
            "outages",
            "pauses",
            "churned_at",
            "reactivated_at",
        ]
    )
    horizon = {"from": "2025-06-10T00:00:00Z", "to": "2025-06-24T00:00:00Z"}

    said = await simulated(signup_at="2025-06-02T00:00:00Z", horizon=horizon, **nothing)

    assert said == await simulated(signup_at="2025-06-02T00:00:00Z", horizon=horizon)
    assert said["anchor"]["zone_source"] == "default"


async def test_late_sends_are_sends_and_a_skip_has_its_reason():
    found = await simulated(
        signup_at="2025-06-02T00:00:00Z",
        grace_hours=2.5,
        outages=[
            {"from": "2025-06-09T00:00:00Z", "to": "2025-06-09T02:30:00Z"},
            {"from": "2025-06-16T00:00:00Z", "to": "2025-06-16T02:30:01Z"},
        ],
        horizon={"from": "2025-06-02T00:00:00Z", "to": "2025-06-20T00:00:00Z"},
    )

    assert found["sends"] == found["late_sends"] == ["2025-06-09T02:30:00Z"]
    assert [each["reason"] for each in found["skips"]] == ["missed_beyond_grace"]


async def test_what_is_sent_after_the_horizon_is_not_shown():
    found = await simulated(
        signup_at="2025-06-02T00:00:00Z",
        outages=[{"from": "2025-06-09T00:00:00Z", "to": "2025-06-09T02:00:00Z"}],
        horizon={"from": "2025-06-09T00:00:00Z", "to": "2025-06-09T01:00:00Z"},
    )

    assert (found["sends"], found["skips"]) == ([], [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"signup_at": "2025-06-02T00:00:00"},
        {"signup_at": "0001-01-01T00:00:00Z"},
        {"signup_at": None},
        {"grace_hours": -1},
        {"quiet": {"from": "22:00Z", "to": "07:00"}},
        {"horizon": {"from": "1950-01-01T00:00:00Z", "to": "2190-01-01T00:00:00Z"}},
        {"zone_events": [{"at": "2025-06-16T01:00:00Z", "kind": "flew", "zone": "UTC"}]},
    ],
)
async def test_what_cannot_be_read_is_refused(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        await simulated(**{**SEOUL_TO_LOS_ANGELES, **wrong})


@pytest.mark.parametrize("zone", ["Not/AZone", "", "../../etc/passwd", "\u0000", "Asia/Seoul\r\n"])
async def test_a_zone_that_is_none_is_skipped_and_no_error(zone: str):
    found = await simulated(
        **{**SEOUL_TO_LOS_ANGELES, "user_zone": zone, "workspace_zone": "Asia/Seoul"}
    )

    assert found["anchor"]["zone_source"] == "workspace"


@pytest.mark.parametrize(
    ("as_of", "overdue"), [("2025-03-01", 1), ("2025-02-28", 0), ("2025-03-02T23:00:00+09:00", 2)]
)
async def test_a_contact_is_due_a_month_after_the_last(as_of: str, overdue: int):
    asked = ContactQuestion.model_validate_json(
        msgspec.json.encode({"max_gap": "P1M", "last_contact_on": "2025-01-31", "as_of": as_of})
    )

    answer = await simulate_contact_sla(asked)

    assert (str(answer.due_on), answer.days_overdue) == ("2025-02-28", overdue)
