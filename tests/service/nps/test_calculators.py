"""The calculators and the preview at the service's own door: who may ask, and what is answered."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.nps.api import router
from services.nps.handlers import LANES
from services.nps.settings import NpsSettings
from shared.db import Database
from shared.service import Service
from shared.settings import DatabaseSettings
from tests.conftest import FreshDatabase
from tests.support.doors import SCOPES, as_, door_of

SOME = {"promoter": 50, "passive": 30, "detractor": 20}
ASKED: dict[str, dict[str, Any]] = {
    "/v1/statistics/summary": {"counts": SOME},
    "/v1/statistics/compare": {"before": SOME, "after": SOME},
    "/v1/statistics/paired": {"rows": [{"before": 6, "after": 9}]},
    "/v1/statistics/sample-size": {"variance": 1, "moe_points": 10},
    "/v1/statistics/proportion": {"x": 4, "n": 6},
    "/v1/statistics/eligible-from": {"signup_at": "2025-01-10T00:30:00Z", "zone": "Asia/Seoul"},
    "/v1/waves/preview": {
        "wave": {"opens_on": "2026-04-01", "first_after_days": 45, "quarantine_days": 90},
        "people": [
            {
                "user": "u",
                "signup_on": "2026-03-30",
                "last_invited_on": None,
                "churned_on": None,
                "consent": True,
            }
        ],
    },
}


@pytest.fixture
async def door(fresh_database: FreshDatabase) -> AsyncIterator[httpx.AsyncClient]:
    """The service's door, with a key `secret <scope>` of each scope."""
    database = Database(fresh_database("nps"), schema="nps", settings=DatabaseSettings())
    service = Service(
        name="nps",
        description="",
        settings=NpsSettings(DATABASE_URL_NPS="postgresql://unused/unused"),
        routers=(router,),
        database=database,
        lanes=LANES,
    )
    async with door_of(service) as client:
        yield client


@pytest.mark.parametrize("path", ASKED)
async def test_readers_may_ask_and_writers_may_not(door: httpx.AsyncClient, path: str):
    allowed = [(await door.post(path, json=ASKED[path], headers=as_(each))) for each in SCOPES]
    nobody = await door.post(path, json=ASKED[path])

    assert [each.status_code for each in allowed] == [200, 403, 200]
    assert nobody.status_code == httpx.codes.UNAUTHORIZED
    assert nobody.json()["code"]


async def test_answers_on_the_wire(door: httpx.AsyncClient):
    found = {
        path: (await door.post(path, json=asked, headers=as_("read"))).json()
        for path, asked in ASKED.items()
    }

    assert found["/v1/statistics/summary"]["nps_shown"] == 30
    assert found["/v1/statistics/compare"]["significant_95"] is False
    assert found["/v1/statistics/paired"] == {
        "n": 1,
        "change": 200,
        "z": None,
        "p_two_sided": None,
    }
    assert found["/v1/statistics/sample-size"] == {"n": 382}
    assert found["/v1/statistics/eligible-from"] == {"eligible_from": "2025-02-24T00:30:00Z"}
    assert found["/v1/waves/preview"] == {"people": [{"user": "u", "decision": "too_young"}]}


async def test_scores_that_json_can_hold_and_that_are_none_count_nowhere(door: httpx.AsyncClient):
    body = b'{"scores": [9, 1e400, -0.5, 1e30, "9", {"score": 9}, null, true], "skipped": 3}'

    answer = await door.post(
        "/v1/statistics/summary",
        content=body,
        headers={**as_("read"), "content-type": "application/json"},
    )

    assert answer.status_code == httpx.codes.OK
    assert (answer.json()["n"], answer.json()["nps"]) == (1, 100)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/statistics/summary", {}),
        ("/v1/statistics/compare", {"before": SOME}),
        ("/v1/statistics/proportion", {"x": 7, "n": 6}),
        ("/v1/statistics/sample-size", {"variance": 1.1, "moe_points": 10}),
        ("/v1/statistics/sample-size", {"variance": 1, "moe_points": 0}),
        ("/v1/statistics/eligible-from", {"signup_at": "2025-01-10T00:30:00", "zone": "UTC"}),
    ],
)
async def test_a_body_without_meaning_is_a_problem(
    door: httpx.AsyncClient, path: str, body: dict[str, Any]
):
    answer = await door.post(path, json=body, headers=as_("read"))

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["code"]
