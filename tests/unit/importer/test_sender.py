"""What the importer does with the edge's answers, the unpleasant ones above all."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from importer.batches import Entry
from importer.errors import Refused, Unreachable
from importer.ledger import ACCEPTED, REPEATED, Rejected
from importer.sender import Edge, body_of, outcomes, retry_after

ENTRIES = [Entry(row, row + 1, f"m-{row}", b'{"messageId":"m-%d"}' % row) for row in (1, 2, 3)]
Answer = Callable[[httpx.Request], httpx.Response]


def edge_that(answer: Answer, notes: list[str], give_up_seconds: float = 60.0) -> Edge:
    client = httpx.AsyncClient(base_url="http://edge", transport=httpx.MockTransport(answer))
    return Edge(client, give_up_seconds=give_up_seconds, note=notes.append)


def test_body_is_a_gzip_segment_batch():
    body = json.loads(gzip.decompress(body_of(ENTRIES)))

    assert body == {"batch": [{"messageId": "m-1"}, {"messageId": "m-2"}, {"messageId": "m-3"}]}


def test_reply_tells_each_events_outcome():
    reply = {
        "accepted": 1,
        "duplicates": 1,
        "rejected": [{"index": 0, "messageId": "m-1", "code": "too_old", "message": "no"}],
    }

    assert outcomes(ENTRIES, reply) == [Rejected(2, "too_old", "no", "m-1"), REPEATED, ACCEPTED]


async def test_busy_edge_is_asked_again_after_the_time_it_names():
    answers = [
        httpx.Response(503, headers={"retry-after": "0"}),
        httpx.Response(429, headers={"retry-after": "0"}, json={"code": "busy", "message": "m"}),
        httpx.Response(200, json={"success": True, "accepted": 3, "rejected": []}),
    ]
    notes: list[str] = []
    edge = edge_that(lambda _: answers.pop(0), notes)

    found = await edge.send(ENTRIES)

    assert found == [ACCEPTED] * 3
    assert notes == [
        "503 Service Unavailable; trying again in 0.0 s",
        "429 busy: m; trying again in 0.0 s",
    ]


async def test_body_too_large_for_the_edge_is_halved():
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        batch = json.loads(gzip.decompress(request.content))["batch"]
        sizes.append(len(batch))
        if len(batch) > 1:
            return httpx.Response(413, json={"code": "payload_too_large", "message": "m"})
        return httpx.Response(200, json={"success": True, "rejected": []})

    found = await edge_that(answer, []).send(ENTRIES)

    assert found == [ACCEPTED] * 3
    assert sizes == [3, 1, 2, 1, 1]


async def test_refused_key_ends_the_import_with_the_edges_own_words():
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"code": "invalid_key", "message": "unknown key"})

    with pytest.raises(Refused, match="401 invalid_key: unknown key"):
        await edge_that(answer, []).send(ENTRIES)


async def test_answer_that_is_not_the_edges_ends_the_import():
    with pytest.raises(Refused, match="is it the edge"):
        await edge_that(lambda _: httpx.Response(200, text="<html>"), []).send(ENTRIES)


async def test_edge_that_never_answers_is_given_up():
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unreachable, match="ConnectError"):
        await edge_that(answer, [], give_up_seconds=0.0).send(ENTRIES)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("86400", 30.0),
        ("Sun, 22 Nov 2026 10:00:12 GMT", 12.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None):
    assert retry_after(header, datetime(2026, 11, 22, 10, tzinfo=UTC)) == seconds
