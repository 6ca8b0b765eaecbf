"""Who may send, and how a key is given."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from deploy.local.waiting import wait_until
from tests.service.ingest.conftest import AWAIT_SECONDS, KEY_CACHE_SECONDS, Tenant, track


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "form",
    ["basic", "basic without colon", "basic with password", "bearer", "header", "body", "query"],
)
def test_key_is_taken_from_wherever_clients_put_it(tenant: Tenant, form: str):
    key = tenant.keys["write"]
    body: dict[str, Any] = {"batch": [track("m")]}
    options: dict[str, Any] = {"headers": {}}
    match form:
        case "basic":
            options["headers"] = {"Authorization": basic(f"{key}:")}
        case "basic without colon":
            options["headers"] = {"Authorization": basic(key)}
        case "basic with password":
            options["headers"] = {"Authorization": basic(f"{key}:anything")}
        case "bearer":
            options["headers"] = {"Authorization": f"Bearer {key}"}
        case "header":
            options["headers"] = {"X-Write-Key": f"{key}:secret"}
        case "body":
            body["writeKey"] = f"{key}:***"
        case _:
            options["params"] = {"writeKey": key}

    answer = tenant.post("/v1/batch", body, **options)

    assert answer.status_code == httpx.codes.OK, answer.text


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_key"),
        ({"Authorization": ""}, 401, "missing_key"),
        ({"Authorization": "Bearer nonsense"}, 401, "invalid_key"),
        ({"Authorization": "Basic ???"}, 401, "invalid_key"),
        ({"Authorization": "Digest x"}, 401, "invalid_key"),
        ({"X-Write-Key": "nonsense"}, 401, "invalid_key"),
    ],
)
def test_request_without_a_valid_key_is_refused(
    tenant: Tenant, headers: dict[str, str], status: int, code: str
):
    answer = tenant.post("/v1/batch", {"batch": [track("m")]}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["success"] is False
    assert "www-authenticate" in answer.headers


def test_key_that_may_only_read_may_not_send(tenant: Tenant):
    answer = tenant.post("/v1/batch", {"batch": [track("m")]}, auth=(tenant.keys["read"], ""))

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_write_key_may_not_list_keys(tenant: Tenant):
    answer = tenant.get(f"/v1/workspaces/{tenant.workspace}/keys", scope="write")

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_new_key_works_and_labels_its_events(tenant: Tenant):
    made = tenant.manage("POST", "/keys", {"scope": "write", "source": "billing-backend"})
    key = made.json()["key"]

    answer = tenant.post("/v1/batch", {"batch": [track("m")]}, auth=(key, ""))

    assert made.status_code == httpx.codes.CREATED
    assert answer.json()["accepted"] == 1
    (event,) = tenant.in_topic("ingest.usage.v1")
    assert (event["source"], event["id"]) == ("billing-backend", "billing-backend m")


def test_key_is_shown_once_and_never_again(tenant: Tenant):
    key = tenant.manage("POST", "/keys", {"scope": "read"}).json()["key"]

    listed = tenant.manage("GET", "/keys")

    assert len(listed.json()["items"]) == 4
    assert key not in listed.text
    assert all(known not in listed.text for known in tenant.keys.values())
    assert all(key not in str(event) for event in tenant.in_topic("ingest.keys.v1"))


def test_revoked_key_is_refused_once_nobody_remembers_it(tenant: Tenant):
    made = tenant.manage("POST", "/keys", {"scope": "write"}).json()
    assert tenant.post("/v1/track", track("a"), auth=(made["key"], "")).status_code == 200

    revoked = tenant.manage("DELETE", f"/keys/{made['key_id']}")
    again = tenant.manage("DELETE", f"/keys/{made['key_id']}")

    assert (revoked.status_code, again.status_code) == (204, 204)
    refused = wait_until(
        lambda: tenant.post("/v1/track", track("b"), auth=(made["key"], "")).status_code == 401,
        timeout_seconds=KEY_CACHE_SECONDS + 5,
    )
    assert refused
    answer = tenant.post("/v1/track", track("b"), auth=(made["key"], ""))
    assert answer.json()["code"] == "key_disabled"


def test_expired_key_is_refused(tenant: Tenant):
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    key = tenant.manage("POST", "/keys", {"scope": "write", "expires_at": past}).json()["key"]

    answer = tenant.post("/v1/track", track("m"), auth=(key, ""))

    assert (answer.status_code, answer.json()["code"]) == (401, "key_disabled")


def test_key_of_another_workspace_opens_nothing_here(tenant: Tenant, another: Tenant):
    key_id = another.manage("GET", "/keys").json()["items"][0]["key_id"]

    assert tenant.get(f"/v1/workspaces/{another.workspace}/keys", scope="manage").status_code == 404
    assert tenant.manage("DELETE", f"/keys/{key_id}").status_code == 404


def test_keys_reach_the_other_services_by_hash_only(tenant: Tenant):
    key_id = tenant.manage("POST", "/keys", {"scope": "write"}).json()["key_id"]
    tenant.manage("DELETE", f"/keys/{key_id}")

    wait_until(lambda: len(tenant.in_topic("ingest.keys.v1")) == 5, timeout_seconds=AWAIT_SECONDS)
    events = tenant.in_topic("ingest.keys.v1")
    assert [event["type"] for event in events][-1] == "workspace.key_revoked.v1"
    assert {event["partitionkey"].partition("/")[0] for event in events} == {tenant.workspace}
    assert events[-1]["partitionkey"] == f"{tenant.workspace}/{key_id}"
    assert all(len(event["data"]["sha256"]) == 64 for event in events[:-1])


@pytest.mark.parametrize(
    "expires_at",
    [12, "soon", "2026-01-01", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"],
)
def test_expiry_that_is_no_instant_is_refused_with_its_field(tenant: Tenant, expires_at: Any):
    answer = tenant.manage("POST", "/keys", {"scope": "write", "expires_at": expires_at})

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "expires_at" in answer.json()["message"]
