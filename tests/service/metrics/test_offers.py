"""Offers that answer wishes: opportunities typed add-on and cross-sell, told once (C16, N22)."""

from datetime import UTC, datetime
from typing import Any

from services.metrics.schedule.opportunities import tell_of_opportunities
from shared.events.ingest import AccountUpserted, FeedbackReceived, UserIdentified
from tests.service.metrics.books import Books, appended

AT = "2025-01-05T00:00:00Z"


async def wish(books: Books, account: str, feature: str | None, kind: str = "request") -> None:
    """Feedback of an account that is known."""
    feedback = FeedbackReceived(feedback=f"{account} {feature} {kind}", kind=kind, feature=feature)
    await books.apply(
        appended(AccountUpserted(pricing_model="seat", seats=1), at=AT, account=account),
        appended(UserIdentified(user=f"u-{account}"), at=AT, account=account),
        appended(feedback, at=AT, account=account),
    )


async def offer(books: Books, name: str, kind: str, features: list[str], **fields: Any) -> None:
    """Set an offer."""
    terms = {"kind": kind, "features": features, **fields}
    answer = await books.ask("PUT", f"/offers/{name}", json=terms)
    assert answer.is_success, answer.text


async def look(books: Books) -> list[tuple[str, str]]:
    """What the clock tells of opportunities now."""
    async with books.database.transaction() as tx:
        told = await tell_of_opportunities(datetime(2025, 2, 1, tzinfo=UTC), tx)
    return [(each.event.type, each.event.opportunity) for each in told]  # type: ignore[attr-defined]


async def test_a_wish_that_an_offer_answers_is_an_opportunity_of_its_kind(books: Books):
    await books.configure()
    await offer(books, "Enterprise", "add_on", ["sso", "audit log"], value="5000")
    await offer(books, "Meet", "cross_sell", ["video"])
    for feature in ("sso", "audit log", "video", "teleport"):
        await wish(books, "acme", feature)
    await wish(books, "umbra", "video", kind="praise")

    found = (await books.get("/opportunities"))["items"]

    assert [(o["opportunity"], o["kind"], o["value"], o["blocked_by"]) for o in found] == [
        ("acme/add_on/Enterprise", "add_on", "5000", "value_proven"),
        ("acme/cross_sell/Meet", "cross_sell", None, "value_proven"),
        ("acme/seat", "seat", None, "value_proven"),
        ("umbra/seat", "seat", None, "value_proven"),
    ]


async def test_opportunities_of_one_account_are_all_listed_whatever_the_pages(books: Books):
    await books.configure()
    await offer(books, "Enterprise", "add_on", ["sso"])
    for account in ("acme", "umbra"):
        await wish(books, account, "sso")

    names, cursor = [], None
    while True:
        parameters: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        page = await books.get("/opportunities", limit=1, **parameters)
        names += [item["opportunity"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert names == ["acme/add_on/Enterprise", "acme/seat", "umbra/add_on/Enterprise", "umbra/seat"]


async def test_an_opportunity_closes_with_its_offer(books: Books):
    await books.configure()
    await offer(books, "Enterprise", "add_on", ["sso"])
    await wish(books, "acme", "sso")

    opened = await look(books)
    await offer(books, "Enterprise", "add_on", ["sso", "audit log"])
    await wish(books, "acme", "audit log")
    again = await look(books)
    assert (await books.ask("DELETE", "/offers/Enterprise")).json() == {"items": []}
    closed = await look(books)

    assert opened == [
        ("opportunity.opened.v1", "acme/add_on/Enterprise"),
        ("opportunity.opened.v1", "acme/seat"),
    ]
    assert again == []
    assert closed == [("opportunity.closed.v1", "acme/add_on/Enterprise")]


async def test_offers_are_listed_with_what_they_answer_and_refuse_seats(books: Books):
    await books.configure()
    await offer(books, "Enterprise", "add_on", ["sso", "audit log"], value="5000")
    refused = await books.ask("PUT", "/offers/x", json={"kind": "seat", "features": ["a"]})

    assert refused.status_code == 422
    assert (await books.get("/offers"))["items"] == [
        {
            "name": "Enterprise",
            "kind": "add_on",
            "features": ["audit log", "sso"],
            "value": "5000",
        }
    ]
