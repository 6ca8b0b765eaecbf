"""From a product backend's request to a score with reasons, on the real stack over HTTP."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.mainstay import Mainstay, track
from tests.support.reference import reference_health
from tests.support.stack import TemporaryStack
from tests.support.topics import read_topic

NOW = datetime.now(UTC).replace(microsecond=0)


async def test_an_event_becomes_a_score_with_reasons_and_a_receipt(mainstay: Mainstay):
    tenant = mainstay.new_tenant()
    instants = [NOW - timedelta(days=n, hours=1) for n in (40, 12, 9, 3, 2, 1)]
    events = [track(f"m{n}", account="acme", at=at) for n, at in enumerate(instants)]

    answer = mainstay.send(tenant, events)

    assert (answer.status_code, answer.json()["accepted"]) == (200, 6)
    mainstay.await_applied(tenant, "m5")
    as_of = NOW.isoformat()
    score = mainstay.get(tenant, "/v1/accounts/acme/score", as_of=as_of).json()
    assert score["usage_health"] == pytest.approx(reference_health(instants, NOW), abs=1e-9)
    assert score["contributions"][0]["words"]
    assert mainstay.scores(tenant, as_of) == {"acme": score["usage_health"]}
    listed = mainstay.get(tenant, "/v1/accounts").json()["items"]
    assert [item["account"] for item in listed] == ["acme"]
    receipt = mainstay.receipt(tenant, "m0")
    assert (receipt["status"], receipt["topic"]) == ("accepted", "ingest.usage.v1")


async def test_a_resent_batch_stands_in_the_topic_once_and_counts_once(
    mainstay: Mainstay, stack: TemporaryStack
):
    tenant = mainstay.new_tenant()
    events = [track(f"m{n}", account="acme", at=NOW - timedelta(days=n)) for n in range(1, 6)]
    mainstay.send(tenant, events)

    again = mainstay.send(tenant, [*events, track("m6", account="acme", at=NOW)])

    assert again.status_code == 200
    assert again.json()["accepted"] == 1
    mainstay.await_applied(tenant, "m6")
    usage = mainstay.get(tenant, "/v1/accounts/acme").json()["usage"]
    assert sum(day["events"] for day in usage["strip"]) == 6
    standing = Counter(
        event["messageid"]
        for event in await read_topic(stack.kafka_bootstrap, "ingest.usage.v1")
        if event["workspace"] == tenant.workspace
    )
    assert standing == {f"m{n}": 1 for n in range(1, 7)}


async def test_late_and_shuffled_events_give_the_same_score(mainstay: Mainstay):
    tenant = mainstay.new_tenant()
    instants = [NOW - timedelta(hours=7 * n + 1) for n in range(60)]
    in_order = [
        track(f"a{n}", account="in-order", at=at) for n, at in enumerate(reversed(instants))
    ]
    shuffled = [track(f"b{n}", account="shuffled", at=at) for n, at in enumerate(instants)]
    random.Random(7).shuffle(shuffled)

    mainstay.send(tenant, in_order)
    for event in shuffled:
        mainstay.send(tenant, [event])

    mainstay.await_applied(tenant, in_order[-1]["messageId"])
    for event in shuffled:
        mainstay.await_applied(tenant, event["messageId"])
    for days_ago in (0, 1, 5, 11):
        scores = mainstay.scores(tenant, (NOW - timedelta(days=days_ago)).isoformat())
        assert scores["in-order"] == scores["shuffled"]


async def test_two_workspaces_never_see_each_other(mainstay: Mainstay):
    ours, theirs = mainstay.new_tenant(), mainstay.new_tenant()
    mainstay.send(ours, [track("m1", account="acme", at=NOW - timedelta(days=1))])
    mainstay.send(theirs, [track("m1", account="rival", at=NOW - timedelta(days=2))])
    mainstay.await_applied(ours, "m1")
    mainstay.await_applied(theirs, "m1")

    assert list(mainstay.scores(ours, NOW.isoformat())) == ["acme"]
    assert list(mainstay.scores(theirs, NOW.isoformat())) == ["rival"]
    foreign = mainstay.get(ours, "/v1/accounts/rival")
    unknown = mainstay.get(ours, "/v1/accounts/nobody")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["code"] == unknown.json()["code"]
    assert foreign.text.replace("rival", "x") == unknown.text.replace("nobody", "x")


async def test_a_write_key_cannot_read_and_a_read_key_cannot_write(mainstay: Mainstay):
    tenant = mainstay.new_tenant()
    reading_with_write = mainstay.http.get(
        f"{mainstay.health.url}/v1/accounts", headers={"authorization": f"Bearer {tenant.write}"}
    )
    writing_with_read = mainstay.http.post(
        f"{mainstay.ingest.url}/v1/track",
        auth=(tenant.read, ""),
        json={"userId": "u", "event": "x", "context": {"groupId": "acme"}},
    )

    assert reading_with_write.status_code == 403
    assert writing_with_read.status_code in (401, 403)
    assert {"code", "message"} <= writing_with_read.json().keys()
