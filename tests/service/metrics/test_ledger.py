"""Facts become books: what stands, what is ignored, what was believed when."""

from typing import Any

from services.metrics.store.snapshot import take_snapshot
from services.metrics.store.steps import walk_timelines
from shared.events.ingest import AccountUpserted
from tests.service.metrics.books import Books, appended, said, state

SPAN = {"from": "2025-01", "to": "2025-03"}


async def movements(books: Books, **parameters: Any) -> list[tuple[Any, ...]]:
    found = await books.get("/revenue/movements", **SPAN, **parameters)
    return [
        (m["account"], m["at"][:10], m["type"], m["amount"], m["facts"]) for m in found["items"]
    ]


async def test_a_price_is_monthly_recurring_revenue_from_its_instant_on(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z"),
        said(state("acme", "2025-02-05T00:00:00Z", 13000, name="f2"), at="2025-02-05T00:00:01Z"),
    )

    months = await books.months("2025-01", "2025-03")

    assert [m["mrr_end"] for m in months.values()] == ["10000", "13000", "13000"]
    assert months["2025-02"]["ndr"] == 1.3
    assert await movements(books) == [
        ("acme", "2025-01-05", "new", "10000", ["f1"]),
        ("acme", "2025-02-05", "expansion", "3000", ["f2"]),
    ]


async def test_a_repeat_is_counted_and_changes_nothing(books: Books):
    fact = state("acme", "2025-01-05T00:00:00Z", 10000, name="f1")
    await books.apply(said(fact, at="2025-01-05T00:00:01Z"))
    before = await books.rows("SELECT * FROM step")

    await books.apply(said(fact, at="2025-01-06T00:00:00Z"), said(fact, at="2025-01-07T00:00:00Z"))

    found = await books.get("/revenue/months", **SPAN)
    assert found["duplicates_ignored"] == 2
    assert found["conflicts"] == []
    assert await books.rows("SELECT * FROM step") == before
    earlier = await books.get("/revenue/months", **SPAN, known_at="2025-01-06T00:00:00Z")
    assert earlier["duplicates_ignored"] == 1


async def test_of_two_contents_under_one_id_the_first_recorded_stands(books: Books):
    first = state("acme", "2025-01-05T00:00:00Z", 10000, name="f1")
    other = state("acme", "2025-01-05T00:00:00Z", 99000, name="f1")
    await books.apply(
        said(first, at="2025-01-05T00:00:01Z"), said(other, at="2025-01-06T00:00:00Z")
    )

    found = await books.get("/revenue/months", **SPAN)

    assert found["months"]["2025-01"]["mrr_end"] == "10000"
    assert found["duplicates_ignored"] == 0
    assert [(c["source"], c["id"]) for c in found["conflicts"]] == [("native", "f1")]
    assert found["conflicts"][0]["fact"]["items"][0]["unit_amount"] == "99000"


async def test_a_conflict_whose_first_record_comes_last_gives_way_to_it(books: Books):
    first = state("acme", "2025-01-05T00:00:00Z", 10000, name="f1")
    other = state("umbra", "2025-01-05T00:00:00Z", 99000, name="f1")
    await books.apply(said(other, at="2025-01-06T00:00:00Z"))
    await books.apply(said(first, at="2025-01-07T00:00:00Z", recorded_at="2025-01-05T00:00:01Z"))

    assert await movements(books) == [("acme", "2025-01-05", "new", "10000", ["f1"])]


async def test_a_late_fact_restates_the_past_and_the_earlier_answer_stays(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z")
    )
    await books.apply(
        said(state("acme", "2025-01-20T00:00:00Z", 15000, name="f2"), at="2025-03-02T00:00:00Z")
    )

    now = await books.months("2025-01", "2025-01")
    then = await books.months("2025-01", "2025-01", known_at="2025-03-01T00:00:00Z")

    assert now["2025-01"]["mrr_end"] == "15000"
    assert then["2025-01"]["mrr_end"] == "10000"


async def test_a_void_removes_its_target_from_when_it_is_recorded(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z"),
        said({"id": "v1", "type": "void", "target": "f1"}, at="2025-02-01T00:00:00Z"),
    )

    assert await movements(books) == []
    assert await movements(books, known_at="2025-01-31T00:00:00Z") == [
        ("acme", "2025-01-05", "new", "10000", ["f1"])
    ]


async def test_a_void_that_comes_before_its_target_counts_once_that_is_there(books: Books):
    await books.apply(said({"id": "v1", "type": "void", "target": "f1"}, at="2025-01-01T00:00:00Z"))
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z")
    )

    assert await movements(books) == []


async def test_a_void_of_a_void_gives_its_target_back(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z"),
        said({"id": "v1", "type": "void", "target": "f1"}, at="2025-02-01T00:00:00Z"),
    )
    await books.apply(said({"id": "v2", "type": "void", "target": "v1"}, at="2025-02-02T00:00:00Z"))

    assert await movements(books) == [("acme", "2025-01-05", "new", "10000", ["f1"])]


async def test_tiers_that_are_only_named_are_priced_once_somebody_tells_them(books: Books):
    item = {"price": "pr", "interval": "month", "quantity": 3, "tiers": {"object_id": "pr"}}
    told = state("acme", "2025-01-05T00:00:00Z", 0, name="f1", items=[item], source="stripe")
    await books.apply(said(told, at="2025-01-05T00:00:01Z"))
    assert (await books.get("/revenue/accounts/acme"))["unresolved"] == ["pr"]

    tiers = {"tiers_mode": "volume", "tiers": [{"up_to": None, "unit_amount": 700}]}
    price = {"id": "o1", "source": "stripe", "type": "provider_object", "object_id": "pr"}
    await books.apply(said({**price, "object": tiers}, at="2025-01-06T00:00:00Z"))

    account = await books.get("/revenue/accounts/acme")
    assert account["mrr"] == "2100"
    assert account["unresolved"] == []


async def test_a_state_that_names_objects_may_follow_one_that_names_none(books: Books):
    item = {"price": "pr", "interval": "month", "quantity": 3, "tiers": {"object_id": "pr"}}
    named = state("acme", "2025-02-05T00:00:00Z", 0, name="f2", items=[item])
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z")
    )
    await books.apply(said(named, at="2025-02-05T00:00:01Z"))

    assert await movements(books) == [
        ("acme", "2025-01-05", "new", "10000", ["f1"]),
        ("acme", "2025-02-05", "churn", "-10000", ["f2"]),
    ]
    assert (await books.get("/revenue/accounts/acme"))["unresolved"] == ["pr"]


async def test_a_mapping_that_comes_later_applies_to_earlier_facts_too(books: Books):
    told = state("cus_1", "2025-01-05T00:00:00Z", 10000, name="f1", source="stripe")
    await books.apply(said(told, at="2025-01-05T00:00:01Z"))
    mapped = AccountUpserted(external_ids={"stripe": "cus_1"})
    await books.apply(appended(mapped, at="2025-02-01T00:00:00Z", account="acme"))

    assert await movements(books) == [("acme", "2025-01-05", "new", "10000", ["f1"])]
    assert await movements(books, known_at="2025-01-31T00:00:00Z") == [
        ("cus_1", "2025-01-05", "new", "10000", ["f1"])
    ]


async def test_an_account_takes_its_history_along_into_another_segment(books: Books):
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"),
        appended(AccountUpserted(segment="smb"), at="2025-01-06T00:00:00Z", account="acme"),
    )
    await books.apply(
        appended(AccountUpserted(segment="large"), at="2025-02-06T00:00:00Z", account="acme")
    )

    small = await books.months("2025-01", "2025-01", segment="smb")
    large = await books.months("2025-01", "2025-01", segment="large")
    then = await books.months("2025-01", "2025-01", segment="smb", known_at="2025-02-01T00:00:00Z")

    assert small["2025-01"]["mrr_end"] == "0"
    assert large["2025-01"]["mrr_end"] == "10000"
    assert then["2025-01"]["mrr_end"] == "10000"


async def test_a_walk_through_account_is_in_no_metric(books: Books):
    await books.apply(said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"))
    await books.apply(
        appended(AccountUpserted(synthetic=True), at="2025-01-06T00:00:00Z", account="acme")
    )

    assert (await books.months("2025-01", "2025-01"))["2025-01"]["customers_end"] == 0
    assert await movements(books) == []


async def test_months_are_those_of_the_workspace_s_zone_also_when_it_changes(books: Books):
    await books.apply(said(state("acme", "2025-01-31T15:30:00Z", 10000), at="2025-01-31T15:30:01Z"))
    in_utc = await books.months("2025-01", "2025-02")

    await books.configure(time_zone="Asia/Seoul")

    in_seoul = await books.months("2025-01", "2025-02")
    assert in_utc["2025-01"]["customers_new"] == 1
    assert in_seoul["2025-01"]["customers_new"] == 0
    assert in_seoul["2025-02"]["customers_new"] == 1


async def test_a_switch_of_currency_is_one_movement_at_the_month_s_rate(books: Books):
    rate = {"type": "fx_rate", "currency": "USD", "month": "2025-01", "rate": "0.5"}
    await books.apply(
        said({"id": "r1", **rate}, at="2025-01-01T00:00:00Z"),
        said(state("acme", "2025-01-05T00:00:00Z", 10000, name="f1"), at="2025-01-05T00:00:01Z"),
        said(
            state("acme", "2025-02-05T00:00:00Z", 30000, name="f2", currency="USD"),
            at="2025-02-05T00:00:01Z",
        ),
    )

    assert await movements(books) == [
        ("acme", "2025-01-05", "new", "10000", ["f1"]),
        ("acme", "2025-02-05", "expansion", "5000", ["f2"]),
    ]
    months = await books.months("2025-01", "2025-02")
    assert months["2025-02"]["net"]["expansion"] == "5000"


async def test_what_holds_a_currency_without_a_rate_is_left_out_and_named(books: Books):
    told = state("acme", "2025-01-05T00:00:00Z", 10000, currency="USD")
    await books.apply(said(told, at="2025-01-05T00:00:01Z"))

    found = await books.get("/revenue/months", **SPAN)

    assert found["months"]["2025-01"]["mrr_end"] == "0"
    assert found["missing_rates"] == ["USD"]


async def test_a_fact_that_cannot_be_booked_becomes_a_dead_letter_with_its_reason(books: Books):
    bad = state("acme", "2025-01-05T00:00:00Z", 10000, currency="XXX")
    good = state("umbra", "2025-01-05T00:00:00Z", 5000)
    await books.apply(said(bad, at="2025-01-05T00:00:01Z"), said(good, at="2025-01-05T00:00:01Z"))

    letters = await books.rows("SELECT code FROM dead_letter")

    assert [letter.code for letter in letters] == ["unknown_currency"]
    assert (await books.months("2025-01", "2025-01"))["2025-01"]["mrr_end"] == "5000"


async def test_a_subscription_that_moves_to_another_account_is_refused(books: Books):
    told = state("umbra", "2025-01-06T00:00:00Z", 10000, subscription="s-acme")
    await books.apply(
        said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"),
        said(told, at="2025-01-06T00:00:01Z"),
    )

    refused = (await books.get("/revenue/refused"))["items"]
    assert [(each["id"], each["owner"], each["code"]) for each in refused] == [
        (told["id"], "acme", "subscription_moved")
    ]
    assert (await books.months("2025-01", "2025-01"))["2025-01"]["customers_end"] == 1


async def test_a_report_sees_nothing_of_what_is_booked_meanwhile(books: Books):
    await books.apply(said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"))
    async with books.database.transaction() as tx:
        await take_snapshot(tx)
        before = [account async for account, _ in walk_timelines(tx, "w1")]
        await books.apply(
            said(state("umbra", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:02Z")
        )
        meanwhile = [account async for account, _ in walk_timelines(tx, "w1")]

    assert before == meanwhile == ["acme"]
    assert (await books.months("2025-01", "2025-01"))["2025-01"]["customers_end"] == 2


async def test_a_workspace_sees_its_own_books_only(books: Books):
    await books.configure("w2")
    await books.apply(said(state("acme", "2025-01-05T00:00:00Z", 10000), at="2025-01-05T00:00:01Z"))

    months = await books.months("2025-01", "2025-01", workspace="w2")

    assert months["2025-01"]["mrr_end"] == "0"
