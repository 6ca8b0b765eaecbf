"""The edge on the real Kafka: what is answered is what stands there, once."""

import gzip
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from services.ingest.model import limits
from tests.service.ingest.conftest import Tenant, track

# What may be sent wrong, with the code that each gets; in the order sent, again and again.
WRONG: tuple[tuple[bytes, str], ...] = (
    (b'{"userId":"u","event":"E"}', "unknown_type"),
    (b'{"type":"nonsense","userId":"u"}', "unknown_type"),
    (b'{"type":"track","event":"E"}', "missing_identity"),
    (b'{"type":"track","userId":"u"}', "missing_event"),
    (b'{"type":"track","userId":[],"event":"E"}', "schema_violation"),
    (b'{"type":"track","userId":"u","event":"E","properties":7}', "schema_violation"),
    (b'{"type":"track","userId":"u","event":"E","properties":{"n":1e999}}', "schema_violation"),
    (b'{"type":"track","userId":"u","event":"E","properties":{"t":"\\u0000"}}', "schema_violation"),
    (b'{"type":"track","userId":"u","event":"\\ud800"}', "schema_violation"),
    (b'{"type":"track","userId":"u","event":"\xff"}', "schema_violation"),
    (b'{"type":"track","userId":"u","event":"E","p":' + b"[" * 3000 + b"]" * 3000 + b"}",
     "schema_violation"),
    (b'{"type":"group","userId":"u","groupId":"g","traits":{"seats":"x"}}', "schema_violation"),
    (b'{"type":"alias","userId":"u"}', "schema_violation"),
    (b"42", "schema_violation"),
    (b"null", "schema_violation"),
)  # fmt: skip


def test_mix_of_1000_good_and_malformed_events_has_exactly_their_results(tenant: Tenant):
    sources, expected = [], {}
    for index in range(1000):
        if index % 3:
            sources.append(json.dumps(track(f"good-{index}")).encode())
        else:
            source, expected[index] = WRONG[index // 3 % len(WRONG)]
            sources.append(source)

    answer = tenant.post("/v1/import", content=b'{"batch":[' + b",".join(sources) + b"]}")

    assert answer.status_code == httpx.codes.OK
    taken = answer.json()
    assert taken["success"] is True
    assert {entry["index"]: entry["code"] for entry in taken["rejected"]} == expected
    assert taken["accepted"] == 1000 - len(expected)
    assert taken["duplicates"] == 0
    assert {entry["index"] for entry in taken["assigned"]} == set(expected)
    assert "Traceback" not in answer.text
    standing = sorted(event["messageid"] for event in tenant.in_topic("ingest.usage.history.v1"))
    assert standing == sorted(f"good-{index}" for index in range(1000) if index % 3)
    refused = tenant.in_topic("ingest.rejected.v1")
    assert sorted(event["data"]["code"] for event in refused) == sorted(expected.values())


def test_batch_sent_again_is_counted_as_duplicates_and_stands_once(tenant: Tenant):
    events = [track(f"m-{number}") for number in range(300)]

    first = tenant.batch(*events).json()
    again = tenant.batch(*events).json()

    assert (first["accepted"], first["duplicates"]) == (300, 0)
    assert (again["accepted"], again["duplicates"]) == (0, 300)
    standing = sorted(event["id"] for event in tenant.in_topic("ingest.usage.v1"))
    assert standing == sorted(f"default m-{number}" for number in range(300))


def test_batch_sent_many_times_at_once_stands_once(tenant: Tenant):
    events = [track(f"m-{number}") for number in range(50)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tenant.batch(*events).json(), range(8)))

    assert sum(answer["accepted"] for answer in answers) == 50
    assert sum(answer["duplicates"] for answer in answers) == 7 * 50
    assert len(tenant.in_topic("ingest.usage.v1")) == 50


def test_repeat_within_a_batch_is_a_duplicate(tenant: Tenant):
    answer = tenant.batch(track("same"), track("same"), track("other")).json()

    assert (answer["accepted"], answer["duplicates"]) == (2, 1)


def test_equal_ids_of_two_workspaces_are_two_events(tenant: Tenant, another: Tenant):
    assert tenant.batch(track("same")).json()["accepted"] == 1
    assert another.batch(track("same")).json()["accepted"] == 1

    (mine,), (theirs,) = (of.in_topic("ingest.usage.v1") for of in (tenant, another))
    assert (mine["workspace"], theirs["workspace"]) == (tenant.workspace, another.workspace)


def test_history_stands_in_its_own_lane_with_its_times(tenant: Tenant):
    tenant.batch(track("old", timestamp="2019-03-04T05:06:07Z"), path="/v1/import")

    (event,) = tenant.in_topic("ingest.usage.history.v1")
    assert event["time"] == "2019-03-04T05:06:07Z"
    assert event["partitionkey"] == f"{tenant.workspace}/acme-inc"
    assert not tenant.in_topic("ingest.usage.v1")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    ("call", "body", "topic"),
    [
        ("track", {"event": "E"}, "ingest.unattributed.v1"),
        ("page", {"name": "P"}, "ingest.unattributed.v1"),
        ("screen", {"name": "S"}, "ingest.unattributed.v1"),
        ("identify", {"traits": {"plan": "x"}}, "ingest.accounts.v1"),
        ("group", {"groupId": "g"}, "ingest.accounts.v1"),
        ("alias", {"previousId": "p"}, "ingest.accounts.v1"),
    ],
)
def test_every_call_has_its_paths(
    tenant: Tenant, call: str, body: dict[str, Any], topic: str, *, short: bool, slash: str
):
    path = f"/v1/{call[0] if short else call}{slash}"

    answer = tenant.post(path, {"userId": "u", "messageId": "m", **body})

    assert (answer.status_code, answer.json()["accepted"]) == (httpx.codes.OK, 1), answer.text
    assert tenant.receipt("m")["topic"] == topic


@pytest.mark.parametrize("form", ["gzip", "magic", "deflate", "text", "form", "chunked"])
def test_body_is_read_whatever_it_claims_to_be(tenant: Tenant, form: str):
    plain = json.dumps({"batch": [track("m")]}).encode()
    packed = gzip.compress(plain)
    content, headers = {
        "gzip": (packed, {"Content-Encoding": "gzip"}),
        "magic": (packed, {"Content-Type": "application/x-www-form-urlencoded"}),
        "deflate": (zlib.compress(plain), {"Content-Encoding": "deflate"}),
        "text": (plain, {"Content-Type": "text/plain"}),
        "form": (plain, {"Content-Type": "application/x-www-form-urlencoded"}),
        "chunked": (iter([plain[:10], plain[10:]]), {}),
    }[form]
    headers["Authorization"] = f"Bearer {tenant.keys['write']}"

    answer = tenant.post("/v1/batch", content=content, headers=headers)

    assert answer.json()["accepted"] == 1, answer.text


def test_lines_are_taken_one_by_one(tenant: Tenant):
    lines = [json.dumps(track("a")), "", "{broken", json.dumps(track("b")), "7"]
    headers = {
        "Content-Type": "application/x-ndjson; charset=utf-8",
        "Authorization": f"Bearer {tenant.keys['write']}",
    }

    answer = tenant.post("/v1/batch", content="\n".join(lines), headers=headers).json()

    assert answer["accepted"] == 2
    assert [(entry["line"], entry["code"]) for entry in answer["rejected"]] == [
        (3, "invalid_json"),
        (5, "schema_violation"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/batch", b"{", 400, "invalid_json"),
        ("/v1/batch", b"[]", 400, "invalid_json"),
        ("/v1/batch", b'{"batch":[],"context":5}', 400, "empty_batch"),
        ("/v1/batch", b'{"batch":[{}],"context":5}', 400, "invalid_json"),
        ("/v1/batch", b'{"batch":[]}', 400, "empty_batch"),
        ("/v1/batch", b"\x1f\x8bnonsense", 400, "invalid_encoding"),
        ("/v1/batch", b"[" * 100_000, 400, "invalid_json"),
        ("/v1/track", b"", 400, "invalid_json"),
        ("/v1/track", b"{broken", 400, "invalid_json"),
        ("/v1/track", b'{"event":"' + b"x" * 33_000 + b'"}', 413, "event_too_large"),
        ("/v1/batch", b" " * (limits.BODY_BYTES + 1), 413, "payload_too_large"),
        ("/v1/batch", gzip.compress(bytes(50_000_000)), 413, "payload_too_large"),
        ("/v1/batch", b'{"batch":[' + b"{}," * 2500 + b"{}]}", 413, "payload_too_large"),
        ("/v1/import", b" " * (limits.IMPORT_BODY_BYTES + 1), 413, "payload_too_large"),
    ],
)
def test_request_that_cannot_be_read_is_refused_in_words(
    tenant: Tenant, path: str, body: bytes, status: int, code: str
):
    answer = tenant.post(path, content=body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["success"]) == (status, code, False)
    assert problem["message"]
    assert "Traceback" not in answer.text


def test_import_takes_more_than_a_live_batch_may_hold(tenant: Tenant):
    events = [track(f"m-{number}") for number in range(3000)]

    assert tenant.batch(*events, path="/v1/import").json()["accepted"] == 3000
    assert tenant.batch(*events).status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


def test_browser_of_another_origin_may_send(tenant: Tenant):
    origin = {"Origin": "https://app.example.com"}

    asked = tenant.http.options(f"{tenant.url}/v1/t", headers=origin)
    answer = tenant.post(
        "/v1/t", {"userId": "u", "event": "E", "writeKey": tenant.keys["write"]}, headers=origin
    )

    for reply in (asked, answer):
        assert reply.is_success
        assert reply.headers["access-control-allow-origin"] == origin["Origin"]
    assert "x-write-key" in asked.headers["access-control-allow-headers"]


def test_what_browsers_measure_of_themselves_is_ignored(tenant: Tenant):
    answer = tenant.http.post(f"{tenant.url}/v1/m", json={"series": []})

    assert (answer.status_code, answer.json()) == (httpx.codes.OK, {"success": True})


def test_personal_data_of_use_stands_in_its_one_place(tenant: Tenant):
    tenant.batch(track("m", properties={"email": "ada@example.com", "rows": 1}))

    (event,) = tenant.in_topic("ingest.usage.v1")
    assert event["data"]["personal"] == {"email": "ada@example.com"}
    assert event["data"]["properties"] == {"rows": 1}


def test_time_that_is_none_is_told_beside_the_acceptance(tenant: Tenant):
    answer = tenant.post(
        "/v1/batch", json={"batch": [track("fine"), track("odd", timestamp="2015-2-02")]}
    )

    assert answer.json()["accepted"] == 2
    assert answer.json()["warnings"] == [{"index": 1, "messageId": "odd", "code": "bad_timestamp"}]
