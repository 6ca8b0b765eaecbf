"""The billing system's own list against our books."""

from typing import Any

from tests.service.metrics.books import Books, said, state

AT = "2025-02-01T00:00:00Z"


def entry(account: str, mrr: int, **fields: Any) -> dict[str, Any]:
    """A subscription as the list has it."""
    told = state(account, AT, mrr, **fields)
    return {name: told[name] for name in told if name not in ("id", "type", "effective_at")}


async def compare(books: Books, *entries: dict[str, Any], **asked: Any) -> dict[str, Any]:
    answer = await books.ask(
        "POST", "/reconciliations", json={"subscriptions": list(entries), "as_of": AT, **asked}
    )
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_every_account_that_differs_is_named_with_the_reason(books: Books):
    january = "2025-01-05T00:00:00Z"
    for account in ("equal", "price", "status", "here"):
        await books.apply(said(state(account, january, 1000), at=january))

    found = await compare(
        books,
        entry("equal", 1000),
        entry("price", 1200),
        entry("status", 1000, status="canceled"),
        entry("there", 700),
    )

    assert (found["accounts"], found["equal"]) == (5, 1)
    assert [
        (d["account"], d["ours"], d["theirs"], [s["why"] for s in d["subscriptions"]])
        for d in found["differences"]
    ] == [
        ("price", "1000", "1200", ["price"]),
        ("status", "1000", "0", ["status"]),
        ("there", "0", "700", ["missing_here"]),
        ("here", "1000", "0", ["missing_there"]),
    ]


async def test_a_list_that_is_not_complete_says_nothing_of_other_accounts(books: Books):
    await books.apply(said(state("here", "2025-01-05T00:00:00Z", 1000), at=AT))

    found = await compare(books, complete=False)

    assert found["differences"] == []


async def test_one_page_of_a_list_says_nothing_of_an_account_s_other_subscriptions(books: Books):
    january = "2025-01-05T00:00:00Z"
    await books.apply(said(state("acme", january, 1000), at=january))
    await books.apply(said(state("acme", january, 1000, subscription="s-other"), at=january))

    found = await compare(books, entry("acme", 1000), complete=False)

    assert (found["accounts"], found["differences"]) == (1, [])


async def test_an_entry_that_cannot_be_read_is_told_and_the_others_stand(books: Books):
    found = await compare(books, entry("a", 5, currency="XXX"), entry("b", 5))

    assert [(r["index"], r["code"]) for r in found["refused"]] == [(0, "unknown_currency")]
    assert [d["account"] for d in found["differences"]] == ["b"]
