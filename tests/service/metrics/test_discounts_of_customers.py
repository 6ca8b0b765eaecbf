"""A discount that a customer itself has: on all its subscriptions, whatever arrives first."""

from random import Random
from typing import Any

from shared.events.ingest import AccountUpserted
from tests.service.metrics.books import Appended, Books, appended, said, state
from tests.service.metrics.test_ownership import nameless

SPAN = {"from": "2025-01", "to": "2025-06"}


def told(name: str, object_id: str, at: str, content: dict[str, Any]) -> dict[str, Any]:
    """A fact of what a provider's object says."""
    return {
        "id": name,
        "source": "stripe",
        "type": "provider_object",
        "effective_at": at,
        "object_id": object_id,
        "object": content,
    }


def discounted(workspace: str) -> list[Appended]:
    """A customer of two subscriptions with a discount from February to May, and its account."""
    facts: list[dict[str, Any]] = [
        {**state("cus_1", at, mrr, name=f"f{n}", subscription=f"s{n % 2}"), "source": "stripe"}
        for n, (at, mrr) in enumerate(
            [
                ("2025-01-05T00:00:00Z", 1000),
                ("2025-01-15T00:00:00Z", 400),
                ("2025-03-10T00:00:00Z", 2000),
                ("2025-05-20T00:00:00Z", 600),
            ]
        )
    ]
    facts += [
        told("o1", "cus_1", "2025-02-01T00:00:00Z", {"coupon": "co_1"}),
        told("o2", "cus_1", "2025-05-01T00:00:00Z", {"object": "discount", "deleted": True}),
        told("o3", "co_1", "2025-01-01T00:00:00Z", {"duration": "forever", "percent_off": 50}),
    ]
    alias = AccountUpserted(external_ids={"stripe": "cus_1"})
    return [
        *(
            said(
                fact,
                at="2026-01-01T00:00:00Z",
                recorded_at=f"2025-07-01T00:00:{n:02}Z",
                workspace=workspace,
            )
            for n, fact in enumerate(facts)
        ),
        appended(alias, at="2025-06-01T00:00:00Z", account="acme", workspace=workspace),
    ]


async def test_a_discount_of_a_customer_counts_in_any_order_of_arrival(books: Books):
    await books.configure("once")
    await books.apply(*discounted("once"))
    wanted = await nameless(books, "once")

    months = await books.months("2025-01", "2025-06", workspace="once")

    assert [month["mrr_end"] for month in months.values()] == [
        "1400",
        "700",
        "1200",
        "1200",
        "2600",
        "2600",
    ]
    for seed in range(8):
        workspace = f"bits-{seed}"
        await books.configure(workspace)
        events = discounted(workspace)
        Random(seed).shuffle(events)
        for event in events:
            await books.apply(event)
        assert await nameless(books, workspace) == wanted, seed
