"""What was told stays explainable: closed months, restatements, the bridge, what is published."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.metrics.schedule.closing import close_due
from services.metrics.schedule.movements import publish_movements
from services.metrics.store.closing import BooksBroken, audit_all
from shared import telemetry
from shared.events.ingest import AccountUpserted
from tests.service.metrics.books import Books, appended, said, state

CLOSING = datetime(2025, 4, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def close(books: Books, at: datetime = CLOSING) -> list[Any]:
    """Close what is due at `at`; what is told of it."""
    async with books.database.transaction() as tx:
        return list(await close_due(tx, now=at, known_until=at, patience=DAY))


async def told(books: Books) -> list[tuple[str, dict[str, Any]]]:
    """What waits to be published of revenue: type and data, in order."""
    found = await books.rows(
        "SELECT payload FROM outbox WHERE topic LIKE 'metrics.revenue%' ORDER BY id"
    )
    events = [msgspec.json.decode(bytes(row.payload)) for row in found]
    return [(event["type"], event["data"]) for event in events]


async def test_a_month_is_closed_a_day_after_its_end_and_binds_the_months_before(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"),
        said(state("acme", "2025-02-05T00:00:00Z", 13000), at="2025-02-05T00:00:01Z"),
    )

    early = await close(books, datetime(2025, 2, 1, 23, tzinfo=UTC))
    events = await close(books)

    assert early == []
    assert [event.event.month for event in events] == ["2025-01", "2025-02", "2025-03"]
    closed = (await books.get("/revenue/closed-months"))["items"]
    assert [month["month"] for month in closed] == ["2025-01", "2025-02", "2025-03"]
    assert closed[1]["previous_digest"] == closed[0]["digest"]
    assert closed[1]["figures"]["mrr_end"] == "13000"
    assert closed[1]["figures"]["ndr"] == "13/10"
    assert await close(books) == []


async def test_a_month_whose_sums_do_not_hold_is_not_closed_and_raises_an_alarm(books: Books):
    await books.apply(said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"))
    async with books.database.transaction() as tx:
        await tx.exec_driver_sql("UPDATE month_rollup SET net_new = '9999/1'")

    events = await close(books)

    assert events == []
    assert telemetry.LEDGER_BROKEN.labels("w1")._value.get() > 0
    assert (await books.get("/revenue/closed-months"))["items"] == []


async def test_an_audit_of_all_books_names_the_workspace_that_is_broken(books: Books):
    await books.apply(said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"))
    async with books.database.transaction() as tx:
        await audit_all(tx)
        await tx.exec_driver_sql("UPDATE month_rollup SET gross_new = '9999/1'")
        with pytest.raises(BooksBroken, match="workspace w1"):
            await audit_all(tx)


async def test_a_late_fact_after_the_close_is_a_restatement_by_cause(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z")
    )
    await close(books)
    (before, *_) = (await books.get("/revenue/closed-months"))["items"]
    await books.apply(
        said(state("acme", "2025-02-10T00:00:00Z", 15000, name="f2"), at="2025-04-03T00:00:00Z"),
        said(
            state("acme", "2025-01-05T00:00:00Z", 11000, name="f3", seq=1),
            at="2025-04-04T00:00:00Z",
        ),
        said({"id": "v1", "type": "void", "target": "f2"}, at="2025-04-05T00:00:00Z"),
    )

    found = await books.get("/revenue/restatements", since="2025-02-01T00:00:00Z")

    assert [(r["cause"], r["facts"], r["months"]) for r in found["items"]] == [
        ("late", ["f2"], {"2025-02": "5000", "2025-03": "5000"}),
        ("correction", ["f3"], {"2025-01": "1000", "2025-02": "0"}),
        ("void", ["v1"], {"2025-02": "-4000", "2025-03": "-4000"}),
    ]
    closed = (await books.get("/revenue/closed-months"))["items"]
    assert closed[0] == before
    then = await books.months("2025-02", "2025-02", known_at=before["known_at"])
    assert then["2025-02"]["mrr_end"] == "10000"


async def test_restatements_are_paged_by_record_time_and_account(books: Books):
    accounts = [f"a{number}" for number in range(5)]
    await books.apply(
        *(
            said(state(account, "2025-01-05T00:00:00Z", 100), at=f"2025-03-0{number + 1}T00:00:00Z")
            for number, account in enumerate(accounts)
        )
    )

    listed, cursor = [], None
    while True:
        parameters: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        page = await books.get(
            "/revenue/restatements", since="2025-01-01T00:00:00Z", limit=2, **parameters
        )
        listed += [item["account"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert listed == accounts


async def test_a_rate_that_comes_late_restates_the_months_it_holds_for(books: Books):
    rate = {"type": "fx_rate", "currency": "USD"}
    await books.apply(
        said({"id": "r1", "month": "2025-01", "rate": "0.5", **rate}, at="2025-01-01T00:00:00Z"),
        said(
            state("acme", "2025-01-05T00:00:00Z", 10000, currency="USD"), at="2025-01-05T00:00:01Z"
        ),
        said({"id": "r2", "month": "2025-02", "rate": "0.6", **rate}, at="2025-04-01T00:00:00Z"),
    )

    found = await books.get("/revenue/restatements", since="2025-02-01T00:00:00Z")

    assert [(r["cause"], r["account"], r["facts"], r["months"]) for r in found["items"]] == [
        ("rate", None, ["r2"], {"2025-02": "1000", "2025-03": "1000"})
    ]


async def test_the_bridge_leads_from_one_end_to_the_other_and_to_accounts(books: Books):
    begin, change = "2025-01-05T00:00:00Z", "2025-02-05T00:00:00Z"
    changes = {"up": 130, "down": 95, "gone": 0}
    for account, then in changes.items():
        start = 100 if account != "gone" else 5
        status = "canceled" if not then else "active"
        await books.apply(
            said(state(account, begin, start), at="2025-01-05T00:00:01Z"),
            said(state(account, change, then, status=status), at="2025-02-05T00:00:01Z"),
        )
    await books.apply(said(state("joined", change, 50), at="2025-02-05T00:00:01Z"))

    bridge = await books.get("/revenue/bridge", **{"from": "2025-02", "to": "2025-03"})

    assert (bridge["mrr_start"], bridge["fx"], bridge["mrr_end"]) == ("205", "0", "275")
    levers = {lever["kind"]: lever for lever in bridge["levers"]}
    assert {kind: lever["amount"] for kind, lever in levers.items()} == {
        "new": "50",
        "reactivation": "0",
        "expansion": "30",
        "contraction": "-5",
        "churn": "-5",
    }
    assert levers["expansion"]["accounts"] == [{"account": "up", "amount": "30"}]
    assert bridge["ndr"] == pytest.approx(225 / 205)
    assert bridge["gap"] == pytest.approx(1.2 - 225 / 205)


async def test_a_movement_is_published_when_it_is_in_force_and_not_before(books: Books):
    ends = "2025-02-10T00:00:00Z"
    await books.apply(
        said(
            state("acme", "2025-01-05T00:00:00Z", 10000, name="f1", ends_at=ends),
            at="2025-01-05T00:00:01Z",
        )
    )
    at_once = await told(books)
    async with books.database.transaction() as tx:
        before = await publish_movements(datetime(2025, 2, 9, tzinfo=UTC), tx)
        then = await publish_movements(datetime(2025, 2, 10, tzinfo=UTC), tx)
        again = await publish_movements(datetime(2025, 2, 11, tzinfo=UTC), tx)

    assert [(kind, data["kind"], data["amount"]) for kind, data in at_once] == [
        ("revenue.movement_recorded.v1", "new", "10000")
    ]
    assert list(before) == list(again) == []
    published = [msgspec.to_builtins(caused.event) for caused in then]
    assert [(event["kind"], event["amount"], event["mrr"]) for event in published] == [
        ("churn", "-10000", "0")
    ]


async def test_a_change_of_what_was_published_is_told_as_a_restatement(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z")
    )
    await books.apply(said({"id": "v1", "type": "void", "target": "f1"}, at="2025-02-01T00:00:00Z"))

    kind, data = (await told(books))[-1]

    assert kind == "revenue.restated.v1"
    assert (data["months"], data["mrr"], data["cause"]) == (["2025-01"], "0", "void")


async def test_a_payment_that_is_overdue_is_told_once(books: Books):
    for day, status in ((5, "active"), (6, "past_due"), (7, "past_due"), (8, "active")):
        await books.apply(
            said(
                state("acme", f"2025-01-0{day}T00:00:00Z", 10000, status=status),
                at=f"2025-01-0{day}T00:00:01Z",
            )
        )

    risks = [data for kind, data in await told(books) if kind == "revenue.at_risk_changed.v1"]

    assert [(risk["past_due"], risk["mrr"]) for risk in risks] == [(True, "10000"), (False, "0")]


async def test_a_mapping_restates_both_accounts_and_says_so(books: Books):
    fact = state("cus_1", "2025-01-05T00:00:00Z", 10000, source="stripe")
    await books.apply(said(fact, at="2025-01-05T00:00:01Z"))
    mapped = AccountUpserted(external_ids={"stripe": "cus_1"})
    await books.apply(appended(mapped, at="2025-02-01T00:00:00Z", account="acme"))

    found = await books.get("/revenue/restatements", since="2025-02-01T00:00:00Z")

    assert [(r["account"], r["cause"], r["months"]) for r in found["items"]] == [
        ("acme", "mapping", {"2025-01": "10000"}),
        ("cus_1", "mapping", {"2025-01": "-10000"}),
    ]
