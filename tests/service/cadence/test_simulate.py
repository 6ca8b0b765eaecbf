"""The simulators at the service's own door: who may ask, and what is answered."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.cadence.api import router
from services.cadence.handlers import LANES
from services.cadence.settings import CadenceSettings
from shared.db import Database
from shared.service import Service
from shared.settings import DatabaseSettings
from tests.conftest import FreshDatabase
from tests.support.doors import as_, door_of

FACTS: dict[str, Any] = {
    "signup_at": "2025-06-02T00:00:00Z",
    "user_zone": "Asia/Seoul",
    "zone_events": [{"at": "2025-06-16T01:00:00Z", "kind": "moved", "zone": "America/Los_Angeles"}],
    "horizon": {"from": "2025-06-10T00:00:00Z", "to": "2025-06-24T00:00:00Z"},
}
CONTACT = {"max_gap": "P1M", "last_contact_on": "2025-01-31", "as_of": "2025-03-03"}


@pytest.fixture
async def door(fresh_database: FreshDatabase) -> AsyncIterator[httpx.AsyncClient]:
    """The service's door, with a key `secret <scope>` of each scope."""
    database = Database(fresh_database("cadence"), schema="cadence", settings=DatabaseSettings())
    service = Service(
        name="cadence",
        description="",
        settings=CadenceSettings(
            DATABASE_URL_CADENCE="postgresql://unused/unused", secrets="secret-of-tests-1"
        ),
        routers=(router,),
        database=database,
        lanes=LANES,
    )
    async with door_of(service) as client:
        yield client


@pytest.mark.parametrize("scope", ["read", "manage"])
async def test_a_move_is_simulated_to_the_minute(door: httpx.AsyncClient, scope: str):
    answer = await door.post("/v1/cadences/simulate", json=FACTS, headers=as_(scope))

    assert answer.status_code == httpx.codes.OK
    assert answer.json() == {
        "anchor": {"weekday": "MON", "time": "09:00", "zone": "Asia/Seoul", "zone_source": "user"},
        "sends": ["2025-06-16T00:00:00Z", "2025-06-23T16:00:00Z"],
        "late_sends": [],
        "skips": [
            {"occurrence": "2025-06-16", "due_at": "2025-06-16T16:00:00Z", "reason": "too_close"}
        ],
        "resolved": {},
        "tzdata": "2026f",
    }


async def test_a_contact_promise_is_simulated(door: httpx.AsyncClient):
    answer = await door.post("/v1/contact-sla/simulate", json=CONTACT, headers=as_("read"))

    assert answer.json() == {"due_on": "2025-02-28", "days_overdue": 3}


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/cadences/simulate", FACTS), ("/v1/contact-sla/simulate", CONTACT)]
)
async def test_a_key_that_may_only_write_may_not_ask(
    door: httpx.AsyncClient, path: str, body: dict[str, Any]
):
    assert (await door.post(path, json=body)).status_code == httpx.codes.UNAUTHORIZED
    refused = await door.post(path, json=body, headers=as_("write"))
    assert refused.status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizon": None},
        {"signup_at": "yesterday"},
        {"signup_at": "2025-06-02T00:00:00"},
        {"zone_events": [{"at": "2025-06-16T01:00:00Z", "kind": "flew", "zone": "UTC"}]},
        {"outages": [{"from": "2025-06-16T01:00:00Z"}]},
        {"grace_hours": 1e300},
        {"quiet": {"from": "25:00", "to": "07:00"}},
        {"pauses": [{"from": "2025-06-16T01:00:00Z", "to": "2025-06-17T01:00:00Z"}] * 501},
    ],
)
async def test_what_cannot_be_read_is_a_problem_with_a_code(
    door: httpx.AsyncClient, wrong: dict[str, Any]
):
    answer = await door.post("/v1/cadences/simulate", json={**FACTS, **wrong}, headers=as_("read"))

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert answer.json()["code"] == "invalid_request"


async def test_the_hardest_question_allowed_is_answered_in_bounded_time(door: httpx.AsyncClient):
    days = [f"{year}-{month:02}-10" for year in range(2025, 2066) for month in range(1, 13)][:490]
    spans = [{"from": f"{day}T00:00:00Z", "to": f"{day}T09:00:00Z"} for day in days]
    zones = ["Asia/Seoul", "America/Los_Angeles"]
    moves = [
        {"at": f"{day}T12:00:00Z", "kind": "moved", "zone": zones[number % 2]}
        for number, day in enumerate(days)
    ]
    facts = {
        **FACTS,
        "zone_events": moves,
        "outages": spans,
        "pauses": spans,
        "quiet": {"from": "22:00", "to": "07:00"},
        "grace_hours": 8784,
        "horizon": {"from": "2025-06-10T00:00:00Z", "to": "2055-06-10T00:00:00Z"},
    }

    answer = await door.post("/v1/cadences/simulate", json=facts, headers=as_("read"), timeout=20)

    assert answer.status_code == httpx.codes.OK
    assert len(answer.json()["sends"]) > 1400
