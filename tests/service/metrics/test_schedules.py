"""Schedules of Stripe's in the answers: committed MRR alone, as known at an instant."""

from typing import Any

from shared.events.ingest import AccountUpserted
from tests.service.metrics.books import Appended, Books, appended, said, state

PHASE = {"start_date": 1_767_225_600, "items": [{"price": "price_1", "quantity": 2}]}
SCHEDULE = {
    "id": "sub_sched_1",
    "customer": "cus_1",
    "status": "active",
    "subscription": "s-cus_1",
    "end_behavior": "release",
    "phases": [PHASE],
}
PRICE = {
    "id": "price_1",
    "currency": "eur",
    "unit_amount": 300,
    "recurring": {"interval": "month"},
}


def noted(content: dict[str, Any], at: str) -> Appended:
    """The object of a webhook, appended at `at`."""
    fact = {
        "id": f"{content['id']} {at}",
        "source": "stripe",
        "type": "provider_object",
        "effective_at": at,
        "object_id": content["id"],
        "object": content,
    }
    return said(fact, at=at)


async def test_a_schedule_makes_committed_mrr_and_no_mrr(books: Books):
    await books.configure()
    told = {**state("cus_1", "2025-01-05T00:00:00Z", 1000), "source": "stripe"}
    alias = AccountUpserted(external_ids={"stripe": "cus_1"})
    await books.apply(
        said(told, at="2025-01-05T00:00:00Z"),
        appended(alias, at="2025-01-05T00:00:00Z", account="acme"),
        noted(SCHEDULE, "2025-02-01T00:00:00Z"),
        noted(PRICE, "2025-03-01T00:00:00Z"),
        noted({**SCHEDULE, "status": "released"}, "2025-04-01T00:00:00Z"),
    )

    found = {
        month: await books.get("/revenue/points", at=f"2025-0{month}-15T00:00:00Z")
        for month in (1, 2, 3, 4)
    }

    assert [(point["mrr"], point["cmrr"]) for point in found.values()] == [
        ("1000", "1000"),
        ("1000", "1000"),
        ("1000", "600"),
        ("1000", "1000"),
    ]
    assert found[2]["unresolved_schedules"] == ["sub_sched_1"]
    march = {"as_of": "2025-03-15T00:00:00Z", "known_at": "2025-03-15T00:00:00Z"}
    acme = await books.get("/revenue/accounts/acme", **march)
    assert (acme["mrr"], acme["committed"]) == ("1000", "600")
    assert (await books.get("/kpis", as_of="2025-03-15T00:00:00Z"))["committed_mrr"] == "1000"


async def test_a_subscription_to_come_of_an_account_without_any_is_committed(books: Books):
    await books.configure()
    to_come = {**SCHEDULE, "status": "not_started", "subscription": None}
    await books.apply(noted(PRICE, "2025-02-01T00:00:00Z"), noted(to_come, "2025-02-01T00:00:00Z"))

    point = await books.get("/revenue/points", at="2025-03-01T00:00:00Z")

    assert (point["mrr"], point["cmrr"]) == ("0", "600")
    assert (await books.get("/kpis", as_of="2025-03-15T00:00:00Z"))["committed_mrr"] == "600"


async def test_a_walk_through_account_commits_nothing(books: Books):
    await books.configure()
    alias = AccountUpserted(external_ids={"stripe": "cus_1"}, synthetic=True)
    await books.apply(
        appended(alias, at="2025-01-05T00:00:00Z", account="demo"),
        noted(PRICE, "2025-02-01T00:00:00Z"),
        noted(SCHEDULE, "2025-02-01T00:00:00Z"),
    )

    assert (await books.get("/revenue/points", at="2025-03-01T00:00:00Z"))["cmrr"] == "0"
