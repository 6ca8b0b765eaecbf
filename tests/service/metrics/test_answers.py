"""Answers to surveys in the cohorts: the latest of each person, by when it was first given."""

from typing import Any

from shared.clock import parse_instant
from shared.events.nps import Answered
from tests.service.metrics.books import Appended, Books, appended, said, state

SPAN = {"from": "2025-01", "to": "2025-06"}


def answer(score: int, *, first_at: str, **said_: Any) -> Appended:
    """An answer of `user` of `account`."""
    told: dict[str, Any] = {
        "invitation": "i1",
        "user": "ana",
        "wave": "w",
        "kind": "nps",
        "mode": "page",
        "at": first_at,
        "account": "acme",
        **said_,
    }
    account = told.pop("account")
    event = Answered(
        **{**told, "at": parse_instant(told["at"]), "first_at": parse_instant(first_at)},
        score=score,
    )
    return appended(event, at=told["at"], account=account)


async def nps_of(books: Books) -> float | None:
    """NPS of the one cohort."""
    cohorts = (await books.get("/revenue/cohorts", **SPAN))["cohorts"]
    nps: float | None = cohorts["2025-01"]["nps"]
    return nps


async def paying(books: Books) -> None:
    await books.configure()
    await books.apply(said(state("acme", "2025-01-05T00:00:00Z", 100), at="2025-01-05T00:00:00Z"))


async def test_an_answer_counts_in_the_cohort_of_its_account(books: Books):
    await paying(books)

    await books.apply(
        answer(10, first_at="2025-03-01T00:00:00Z"),
        answer(3, first_at="2025-03-01T00:00:00Z", user="bo", invitation="i2"),
    )

    assert await nps_of(books) == 0
    await books.apply(answer(9, first_at="2025-04-01T00:00:00Z", user="bo", invitation="i3"))
    assert await nps_of(books) == 100


async def test_of_the_answers_of_one_invitation_the_last_counts_in_any_order(books: Books):
    await paying(books)
    first_at = "2025-03-01T00:00:00Z"

    await books.apply(
        answer(2, first_at=first_at, at="2025-03-01T00:09:00Z"),
        answer(10, first_at=first_at, at="2025-03-01T00:05:00Z"),
    )

    assert await nps_of(books) == -100


async def test_an_old_answer_that_is_replaced_does_not_outdate_a_newer_one(books: Books):
    await paying(books)

    await books.apply(
        answer(10, first_at="2025-04-01T00:00:00Z", invitation="i2"),
        answer(0, first_at="2025-03-01T00:00:00Z", at="2025-04-02T00:00:00Z"),
    )

    assert await nps_of(books) == 100


async def test_other_surveys_and_people_without_account_are_no_facts(books: Books):
    await paying(books)

    await books.apply(
        answer(5, first_at="2025-03-01T00:00:00Z", kind="csat"),
        answer(5, first_at="2025-03-01T00:00:00Z", account=None, user="guest"),
    )

    assert await nps_of(books) is None
