"""Workspaces: created by the operator alone, changed by their own manage key."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.waiting import wait_until
from tests.service.ingest.conftest import AWAIT_SECONDS, Tenant, create_workspace, new_tenant, track
from tests.support.processes import ServiceProcess
from tests.support.stack import TemporaryStack


def test_id_that_exists_is_refused(tenant: Tenant):
    answer = create_workspace(tenant.url, tenant.workspace)

    assert (answer.status_code, answer.json()["code"]) == (409, "workspace_exists")


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "Acme"},
        {"id": ""},
        {"id": "a" * 64},
        {"name": ""},
        {"name": "a\x00b"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": None},
        {"reporting_currency": "XYZ"},
        {"locale": "?"},
        {"gross_margin": "1.1"},
        {"gross_margin": "much"},
        {"gross_margin": 0.8},
        {"silence_days": 0},
        {"silence_days": "many"},
        {"webhook_secrets": {"paypal": ["x"]}},
        {"webhook_secrets": {"stripe": "x"}},
        {"event_mapping": {"A": "usage.tracked"}},
        {"event_mapping": {"A": 5}},
        {"unknown_field": 1},
    ],
)
def test_wrong_setting_is_refused_in_words(ingest: ServiceProcess, wrong: dict[str, Any]):
    answer = create_workspace(ingest.url, f"w-{uuid4().hex[:12]}", **wrong)

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text
    problem = answer.json()
    assert problem["code"]
    assert next(iter(wrong)) in problem["message"]


def test_currency_is_taken_in_any_case_and_margin_may_be_unknown(
    ingest: ServiceProcess,
):
    answer = create_workspace(
        ingest.url, f"w-{uuid4().hex[:12]}", reporting_currency="eur", gross_margin=None
    )

    assert answer.status_code == httpx.codes.CREATED
    assert answer.json()["workspace"]["reporting_currency"] == "EUR"
    assert answer.json()["workspace"]["gross_margin"] is None
    assert answer.json()["workspace"]["silence_days"] == 90


@pytest.mark.parametrize("key", [None, "wrong"])
def test_nobody_but_the_operator_creates_workspaces(ingest: ServiceProcess, key: str | None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    answer = httpx.post(f"{ingest.url}/v1/workspaces", json={"id": "x"}, headers=headers)

    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert answer.json()["code"] in ("missing_key", "invalid_key")


def test_manage_key_creates_no_workspace(tenant: Tenant):
    answer = httpx.post(
        f"{tenant.url}/v1/workspaces",
        json={"id": "x"},
        headers={"Authorization": f"Bearer {tenant.keys['manage']}"},
    )

    assert answer.status_code == httpx.codes.UNAUTHORIZED


def test_change_replaces_what_it_names_and_nothing_else(tenant: Tenant):
    answer = tenant.manage("PATCH", "", {"silence_days": 30, "gross_margin": None})

    assert answer.status_code == httpx.codes.OK
    assert answer.json() == {
        "id": tenant.workspace,
        "name": "Acme",
        "time_zone": "Asia/Seoul",
        "reporting_currency": "KRW",
        "locale": "ko",
        "gross_margin": None,
        "silence_days": 30,
        "event_mapping": {},
    }


@pytest.mark.parametrize("wrong", [{"silence_days": 0}, {"id": "other"}, {"time_zone": None}])
def test_wrong_change_is_refused(tenant: Tenant, wrong: dict[str, Any]):
    answer = tenant.manage("PATCH", "", wrong)

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_workspace_of_another_is_not_there(tenant: Tenant, another: Tenant):
    answer = httpx.patch(
        f"{tenant.url}/v1/workspaces/{another.workspace}",
        json={"name": "x"},
        headers={"Authorization": f"Bearer {tenant.keys['manage']}"},
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_settings_reach_the_other_services_without_secrets(
    ingest: ServiceProcess, stack: TemporaryStack
):
    secrets = {"stripe": ["whsec_first"], "standard": ["whsec_second"]}
    tenant = new_tenant(ingest.url, stack, webhook_secrets=secrets)
    changed = tenant.manage("PATCH", "", {"name": "New", "webhook_secrets": {"stripe": ["third"]}})

    wait_until(
        lambda: len(tenant.in_topic("ingest.workspaces.v1")) == 2, timeout_seconds=AWAIT_SECONDS
    )
    first, second = tenant.in_topic("ingest.workspaces.v1")
    assert first["partitionkey"] == f"{tenant.workspace}/"
    assert (first["data"]["name"], second["data"]["name"]) == ("Acme", "New")
    assert second["data"]["changed"] == ["name", "webhook_secrets"]
    for text in (str(first), str(second), changed.text):
        assert not any(secret in text for secret in ("whsec_first", "whsec_second", "third"))


def test_mapping_of_names_holds_for_the_events_after_it(tenant: Tenant):
    tenant.manage("PATCH", "", {"event_mapping": {"Registered": "user.signed_up"}})

    mapped = wait_until(
        lambda: (
            bool(tenant.batch(track(uuid4().hex, event="Registered")))
            and bool(tenant.in_topic("ingest.accounts.v1"))
        ),
        timeout_seconds=AWAIT_SECONDS,
    )
    assert mapped
    assert tenant.in_topic("ingest.accounts.v1")[0]["type"] == "user.identified.v1"
