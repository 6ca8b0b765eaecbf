"""A subscription that several accounts name: the same books and the same list in any arrival."""

import re
from random import Random
from typing import Any

from shared.events.ingest import AccountUpserted
from tests.service.metrics.books import Appended, Books, appended, said, state
from tests.service.metrics.test_any_history import TABLES, tables

SPAN = {"from": "2025-01", "to": "2025-06"}


def contested(chance: Random, workspace: str) -> list[Appended]:
    """Claims of three accounts and a customer on two subscriptions, voids and an alias."""
    facts: list[dict[str, Any]] = []
    for number in range(14):
        source, account = chance.choice(
            [("native", "acme"), ("native", "umbra"), ("native", "hooli"), ("stripe", "cus_1")]
        )
        month, day = chance.randint(1, 6), chance.randint(1, 28)
        told = state(
            account,
            f"2025-{month:02}-{day:02}T00:00:00Z",
            1000 * chance.randint(1, 9),
            name=f"f{number}",
            subscription=chance.choice(["s1", "s2"]),
        )
        facts.append({**told, "source": source})
    gone = chance.sample(facts, 3)
    facts += [
        {"id": f"v{n}", "type": "void", "target": one["id"], "source": one["source"]}
        for n, one in enumerate(gone)
    ]
    events = [
        said(
            fact,
            at="2026-01-01T00:00:00Z",
            recorded_at=f"2025-07-{chance.randint(1, 28):02}T00:00:{number:02}Z",
            workspace=workspace,
        )
        for number, fact in enumerate(facts)
    ]
    alias = AccountUpserted(external_ids={"stripe": "cus_1"})
    return [
        *events,
        appended(alias, at="2025-07-15T00:00:00Z", account="umbra", workspace=workspace),
    ]


async def answers(books: Books, workspace: str) -> tuple[Any, Any]:
    """What is counted, and what is refused."""
    months = await books.get("/revenue/months", **SPAN, workspace=workspace)
    refused = await books.get("/revenue/refused", limit=500, workspace=workspace)
    return months["months"], refused["items"]


async def nameless(books: Books, workspace: str) -> dict[str, list[str]]:
    """Every row, whatever the events were called."""
    return {
        table: [re.sub(r'"event \d+"', '"event"', line) for line in lines]
        for table, lines in (await tables(books, workspace)).items()
    }


async def test_any_arrival_of_rival_claims_gives_the_same_books(books: Books):
    refusals = 0
    for seed in range(12):
        at_once, bit_by_bit = f"once-{seed}", f"bits-{seed}"
        for workspace in (at_once, bit_by_bit):
            await books.configure(workspace)
        await books.apply(*contested(Random(seed), at_once))
        again = contested(Random(seed), bit_by_bit)
        Random(seed).shuffle(again)
        for event in again:
            await books.apply(event)

        wanted, refused = await answers(books, at_once)
        found, refused_again = await answers(books, bit_by_bit)

        assert (found, refused_again) == (wanted, refused), seed
        assert await nameless(books, bit_by_bit) == await nameless(books, at_once), seed
        refusals += len(refused)
    assert "claim" in TABLES
    assert refusals


async def test_an_earlier_claim_that_arrives_later_takes_the_books_over(books: Books):
    await books.configure()
    late = said(
        state("acme", "2025-01-05T00:00:00Z", 10000, name="f1", subscription="s"),
        at="2025-01-05T00:00:09Z",
    )
    early = said(
        state("umbra", "2025-01-04T00:00:00Z", 7000, name="f2", subscription="s"),
        at="2025-01-10T00:00:00Z",
        recorded_at="2025-01-04T00:00:00Z",
    )
    await books.apply(late)
    assert (await books.get("/revenue/accounts/acme", as_of="2025-02-01"))["mrr"] == "10000"

    await books.apply(early)

    acme = await books.get("/revenue/accounts/acme", as_of="2025-02-01")
    umbra = await books.get("/revenue/accounts/umbra", as_of="2025-02-01")
    assert (acme["mrr"], umbra["mrr"]) == ("0", "7000")
    assert [(r["id"], r["owner"]) for r in acme["refused"]] == [("f1", "umbra")]
    assert umbra["refused"] == []
    told = await books.rows(
        "SELECT convert_from(payload, 'UTF8')::json AS event FROM outbox"
        " WHERE convert_from(payload, 'UTF8')::json ->> 'type' = 'revenue.restated.v1'"
    )
    assert [event.event["subject"] for event in told] == ["acme"]


async def test_refused_facts_are_listed_in_pages_and_as_csv(books: Books):
    await books.configure()
    await books.apply(
        said(
            state("acme", "2025-01-01T00:00:00Z", 100, subscription="s"), at="2025-01-01T00:00:00Z"
        ),
        *[
            said(
                state(f"a{n}", "2025-01-02T00:00:00Z", 100, name=f"r{n}", subscription="s"),
                at="2025-01-02T00:00:00Z",
            )
            for n in range(3)
        ],
    )

    first = await books.get("/revenue/refused", limit=2)
    second = await books.get("/revenue/refused", limit=2, cursor=first["next_cursor"])
    whole = await books.ask("GET", "/revenue/refused", params={"format": "csv"})

    assert [each["id"] for each in first["items"] + second["items"]] == ["r0", "r1", "r2"]
    assert second["next_cursor"] is None
    assert [line.split(",")[1] for line in whole.text.splitlines()] == ["id", "r0", "r1", "r2"]
