"""What is no JSON within one event costs its neighbours nothing, and is kept as it came."""

import json
from base64 import b64decode

import httpx

from tests.service.ingest.conftest import Tenant, track


def test_nan_of_one_event_in_a_batch_costs_the_others_nothing(tenant: Tenant):
    events = [track(f"m-{number}") for number in range(51)]
    events[17]["properties"] = {"ratio": float("nan")}
    content = json.dumps({"batch": events, "sentAt": "2026-01-01T00:00:00Z"})
    assert '"ratio": NaN' in content

    answer = tenant.post("/v1/batch", content=content)

    assert answer.status_code == httpx.codes.OK, answer.text
    taken = answer.json()
    assert taken["accepted"] == 50
    (rejected,) = taken["rejected"]
    assert (rejected["index"], rejected["messageId"]) == (17, "m-17")
    assert rejected["code"] == "schema_violation"
    assert "NaN" in rejected["message"]
    standing = {event["messageid"] for event in tenant.in_topic("ingest.usage.v1")}
    assert standing == {f"m-{number}" for number in range(51)} - {"m-17"}
    (kept,) = tenant.in_topic("ingest.rejected.v1")
    assert b64decode(kept["data"]["bytes"]) == json.dumps(events[17]).encode()
