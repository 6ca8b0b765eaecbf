"""Rates as others hear of them: revaluations in force, and what a late rate restates."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from services.metrics.schedule import rates
from services.metrics.schedule.rates import tell_of_rates
from tests.service.metrics.books import Books, said, state
from tests.service.metrics.test_told_once import told

FEBRUARY = datetime(2025, 2, 1, tzinfo=UTC)


def rate(month: str, value: str, *, at: str, name: str | None = None) -> Any:
    """A rate of the dollar, recorded at `at`."""
    fact = {"type": "fx_rate", "currency": "USD", "month": month, "rate": value}
    return said({"id": name or f"r-{month}", **fact}, at=at)


def dollars(account: str, mrr: int, at: str = "2025-01-05T00:00:00Z") -> Any:
    """An account that pays in dollars from `at` on."""
    return said(state(account, at, mrr, currency="USD"), at=at)


async def run(books: Books, now: datetime) -> list[tuple[str, str, dict[str, Any]]]:
    """What the job tells at `now` until nothing is left: account, type and data."""
    heard: list[Any] = []
    while await books.rows("SELECT month FROM rate_due WHERE due_at <= :now", now=now):
        async with books.database.transaction() as tx:
            heard += await tell_of_rates(now, tx)
    return [(str(each.subject), each.event.type, msgspec.to_builtins(each.event)) for each in heard]


async def test_a_revaluation_is_told_when_its_month_begins_and_not_before(books: Books):
    await books.apply(
        rate("2025-01", "0.5", at="2025-01-01T00:00:00Z"),
        dollars("acme", 10000),
        rate("2025-02", "0.6", at="2025-01-20T00:00:00Z"),
    )
    await run(books, datetime(2025, 1, 31, tzinfo=UTC))

    at_last = await run(books, FEBRUARY)

    assert [(a, d["kind"], d["amount"], d["mrr"], d["facts"]) for a, _, d in at_last] == [
        ("acme", "fx", "1000", "6000", ["r-2025-02"])
    ]
    assert at_last[0][2]["at"] == "2025-02-01T00:00:00Z"
    assert await run(books, datetime(2025, 3, 1, tzinfo=UTC)) == []


async def test_a_late_rate_restates_the_accounts_whose_months_it_changes(books: Books):
    await books.apply(
        rate("2025-01", "0.5", at="2025-01-01T00:00:00Z"),
        dollars("acme", 10000),
        dollars("umbra", 100, at="2025-03-10T00:00:00Z"),
        said(state("euros", "2025-01-05T00:00:00Z", 500), at="2025-01-05T00:00:00Z"),
        said(
            state("acme", "2025-02-10T00:00:00Z", 20000, currency="USD"),
            at="2025-02-10T00:00:00Z",
        ),
        rate("2025-02", "0.6", at="2025-04-02T00:00:00Z"),
    )
    await run(books, datetime(2025, 4, 1, tzinfo=UTC))

    heard = await run(books, datetime(2025, 4, 2, tzinfo=UTC))

    assert [(a, kind) for a, kind, _ in heard] == [
        ("acme", "revenue.restated.v1"),
        ("umbra", "revenue.restated.v1"),
    ]
    assert (heard[0][2]["months"], heard[0][2]["mrr"]) == (["2025-02"], "12000")
    assert heard[1][2]["months"] == ["2025-03"]
    assert {(d["cause"], tuple(d["facts"])) for _, _, d in heard} == {("rate", ("r-2025-02",))}


async def test_a_first_rate_that_comes_late_tells_of_what_was_worth_nothing(books: Books):
    await books.apply(dollars("acme", 10000))
    assert await told(books) == []
    await books.apply(rate("2025-01", "0.5", at="2025-01-09T00:00:00Z"))

    heard = await run(books, datetime(2025, 1, 9, tzinfo=UTC))

    assert [(kind, d["kind"], d["amount"]) for _, kind, d in heard] == [
        ("revenue.movement_recorded.v1", "new", "5000")
    ]


async def test_a_rate_that_is_void_restates_what_it_had_changed(books: Books):
    await books.apply(
        rate("2025-01", "0.5", at="2025-01-01T00:00:00Z"),
        dollars("acme", 10000),
        rate("2025-02", "0.6", at="2025-01-20T00:00:00Z"),
    )
    await run(books, FEBRUARY)
    await books.apply(
        said({"id": "v1", "type": "void", "target": "r-2025-02"}, at="2025-02-03T00:00:00Z")
    )

    heard = await run(books, datetime(2025, 2, 3, tzinfo=UTC))

    assert [(kind, d["months"], d["mrr"], d["facts"]) for _, kind, d in heard] == [
        ("revenue.restated.v1", ["2025-02"], "5000", ["r-2025-02"])
    ]


async def test_many_accounts_are_told_some_at_a_time_and_each_once(books: Books, monkeypatch: Any):
    monkeypatch.setattr(rates, "ACCOUNTS_AT_ONCE", 3)
    accounts = [f"a{number}" for number in range(8)]
    await books.apply(
        rate("2025-01", "0.5", at="2025-01-01T00:00:00Z"),
        *[dollars(account, 1000) for account in accounts],
        rate("2025-02", "0.6", at="2025-01-20T00:00:00Z"),
    )
    await run(books, datetime(2025, 1, 31, tzinfo=UTC))

    async with books.database.transaction() as tx:
        first = await tell_of_rates(FEBRUARY, tx)
    rest = await run(books, FEBRUARY)

    assert [each.subject for each in first] == accounts[:3]
    assert [account for account, _, _ in rest] == accounts[3:]


async def test_a_late_state_brings_the_revaluations_of_its_balance_with_it(books: Books):
    await books.apply(
        rate("2025-01", "0.5", at="2025-01-01T00:00:00Z"),
        rate("2025-02", "0.6", at="2025-01-20T00:00:00Z"),
    )
    await run(books, FEBRUARY)
    late = state("acme", "2025-01-05T00:00:00Z", 10000, currency="USD")
    await books.apply(said(late, at="2025-03-05T00:00:00Z"))

    heard = await told(books)

    assert [(kind, d["kind"], d["amount"], d["at"]) for kind, d in heard] == [
        ("revenue.movement_recorded.v1", "new", "5000", "2025-01-05T00:00:00Z"),
        ("revenue.movement_recorded.v1", "fx", "1000", "2025-02-01T00:00:00Z"),
    ]
