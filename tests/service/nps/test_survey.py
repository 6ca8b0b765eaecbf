"""The survey page: what it shows, what it records, and what it refuses."""

import asyncio

import pytest

from services.nps.model.tokens import link_of, link_token
from services.nps.store.link_keys import get_secret
from shared.db import rows
from tests.service.nps.desk import NOW, WORKSPACE, Desk, later


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0, "detractor"),
        (6, "detractor"),
        (7, "passive"),
        (8, "passive"),
        (9, "promoter"),
        (10, "promoter"),
    ],
)
async def test_answer_is_of_the_class_of_its_score(desk: Desk, score: int, expected: str):
    token = await desk.invite("u-1", account="acme")

    assert await desk.say(token, score, comment="so") == 200

    (found,) = (await desk.get("/responses", user="u-1"))["items"]
    assert (found["score"], found["class"], found["comment"]) == (score, expected, "so")


@pytest.mark.parametrize(
    "score", ["-1", "11", "7.5", "null", "7 ", "", "07", "\N{FULLWIDTH DIGIT SEVEN}"]
)
async def test_what_is_no_score_is_refused_and_the_answer_stands(desk: Desk, score: str):
    token = await desk.invite("u-1")
    await desk.say(token, 9)

    assert await desk.say(token, score) == 422

    (found,) = (await desk.get("/responses"))["items"]
    assert found["score"] == 9


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_records_nothing(desk: Desk, method: str):
    token = await desk.invite("u-1")

    answer = await desk.http.request(method, f"/s/{token}?score=9")

    assert answer.status_code == 200
    assert (await desk.get("/responses"))["items"] == []
    if method == "GET":
        assert 'value="9" required checked' in answer.text


async def test_last_answer_counts_and_the_first_time_is_kept(desk: Desk):
    token = await desk.invite("u-1")
    await desk.say(token, 3)
    desk.set_clock(later(hours=1))

    await desk.say(token, 9)

    (found,) = (await desk.get("/responses"))["items"]
    assert found["score"] == 9
    assert found["first_at"] == "2026-03-02T09:00:00Z"
    assert found["at"] == "2026-03-02T10:00:00Z"


async def test_answers_sent_at_once_make_one_answer(desk: Desk):
    token = await desk.invite("u-1")

    said = await asyncio.gather(*[desk.say(token, 9) for _ in range(6)])

    assert said == [200] * 6
    assert len((await desk.get("/responses"))["items"]) == 1
    assert (await desk.get("/rollups"))["respondent"]["counts"]["promoter"] == 1
    assert len(await desk.outbox("nps.answered.v1")) == 1


async def test_answer_after_the_close_is_kept_and_does_not_count(desk: Desk):
    token = await desk.invite("u-1", closes_at=later(days=1).isoformat())
    desk.set_clock(later(days=1))

    assert await desk.say(token, 9) == 410

    assert (await desk.get("/responses"))["items"] == []
    async with desk.database.transaction() as tx:
        assert [row.score for row in await rows(tx, "SELECT score FROM late_answer")] == [9]


async def test_forged_and_expired_links_look_alike(desk: Desk):
    token = await desk.invite("u-1")
    payload, _, signature = token.rpartition(".")

    assert await desk.say(f"{payload}.{signature[::-1]}", 9) == 404
    assert await desk.say("nonsense", 9) == 404
    desk.set_clock(later(days=61))
    assert await desk.say(token, 9) == 404
    assert (await desk.get("/responses"))["items"] == []


async def test_link_of_one_workspace_opens_nothing_with_the_secret_of_another(desk: Desk):
    await desk.configure("w2")
    token = await desk.invite("u-1")
    await desk.invite("u-2", workspace="w2")
    async with desk.database.transaction() as tx:
        own, other = await get_secret(tx, "w1"), await get_secret(tx, "w2")
    assert own is not None
    assert other is not None
    link = link_of(token, secret=own, now=NOW)
    assert link is not None

    assert await desk.say(link_token(link, secret=other), 9) == 404
    assert await desk.say(link_token(link._replace(workspace="w2"), secret=other), 9) == 404
    assert (await desk.get("/responses"))["items"] == []
    assert await desk.say(token, 9) == 200


async def test_person_in_several_accounts_is_asked_once(desk: Desk):
    first = await desk.invite("u-1", account="acme", wave="q1")
    second = await desk.invite("u-1", account="globex", wave="q1")

    await desk.say(first, 9)
    await desk.say(second, 8)

    (found,) = (await desk.get("/responses", wave="q1"))["items"]
    assert found["score"] == 8


async def test_detractor_opens_one_loop(desk: Desk):
    token = await desk.invite("u-1", account="acme")

    await desk.say(token, 2)
    await desk.say(token, 3)

    (loop,) = await desk.outbox("nps.loop_opened.v1")
    assert loop["class"] == "detractor"


async def test_large_comment_with_markup_is_stored_as_text(desk: Desk):
    token = await desk.invite("u-1")
    comment = "<script>alert(1)</script>\u0000" + "가" * 300_000

    assert await desk.say(token, 9, comment=comment) == 200

    (found,) = (await desk.get("/responses"))["items"]
    assert found["comment"] == comment.replace("\0", "\ufffd")


async def test_other_workspace_sees_nothing_of_it(desk: Desk):
    await desk.configure("w2")
    await desk.say(await desk.invite("u-1", account="acme", wave="q1"), 9)

    answer = await desk.ask("GET", "/responses", workspace="w2")

    assert WORKSPACE != "w2"
    assert answer.json()["items"] == []
