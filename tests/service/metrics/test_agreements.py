"""Contracts with their windows, concessions with what they did, and what there is to expand."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.metrics.schedule.contracts import tell_of_contracts
from services.metrics.schedule.opportunities import tell_of_opportunities
from shared.events.ingest import (
    AccountUpserted,
    ConcessionGranted,
    ContractCancelled,
    ContractUpserted,
    DealClosed,
    OnboardingFee,
    PaymentSucceeded,
    UserIdentified,
)
from tests.service.metrics.books import Appended, Books, appended, said, state

TOLD = "2025-01-01T00:00:00Z"


def agreed(account: str, contract: str = "c1", **terms: Any) -> Appended:
    """A contract of a year from New Year's Day on."""
    given = {"starts_on": date(2025, 1, 1), "term_months": 12, "auto_renew": True, **terms}
    return appended(ContractUpserted(contract=contract, **given), at=TOLD, account=account)


async def notices(books: Books, day: str) -> list[tuple[str, str, int | None]]:
    """What is told of contracts on a day: the type, the last day inside, the days left."""
    async with books.database.transaction() as tx:
        caused = await tell_of_contracts(datetime.fromisoformat(f"{day}T12:00:00+00:00"), tx)
    told = [(c.event.type, msgspec.to_builtins(c.event)) for c in caused]
    return [(kind, event["on"], event.get("days_left")) for kind, event in told]


async def test_the_opt_out_window_is_told_before_it_closes_and_once(books: Books):
    await books.apply(agreed("acme"))

    assert await notices(books, "2025-03-17") == []
    assert await notices(books, "2025-03-18") == [("contract.opt_out_closing.v1", "2025-04-01", 14)]
    assert await notices(books, "2025-03-19") == []


async def test_day_90_is_inside_the_opt_out_window_and_day_91_is_not(books: Books):
    for account, day in (("inside", date(2025, 4, 1)), ("outside", date(2025, 4, 2))):
        cancelled = ContractCancelled(contract="c1", effective_on=day, reason="price")
        await books.apply(
            agreed(account), appended(cancelled, at="2025-03-01T00:00:00Z", account=account)
        )

    listed = (await books.get("/contracts"))["items"]

    assert [(c["account"], c["opt_out_until"], c["opted_out"]) for c in listed] == [
        ("inside", "2025-04-01", True),
        ("outside", "2025-04-01", False),
    ]
    told = await notices(books, "2025-04-02")
    assert ("contract.opted_out.v1", "2025-04-01", None) in told
    assert ("contract.ended.v1", "2025-04-02", 0) in told


async def test_who_opts_out_is_lost_on_a_line_of_its_own(books: Books):
    for account, day, mrr in (
        ("inside", date(2025, 4, 1), 10000),
        ("outside", date(2025, 4, 2), 20000),
        ("later", date(2025, 6, 1), 40000),
    ):
        cancelled = ContractCancelled(contract="c1", effective_on=day, reason="price")
        await books.apply(
            said(state(account, "2025-01-01T00:00:00Z", mrr), at=TOLD),
            agreed(account),
            appended(cancelled, at="2025-03-01T00:00:00Z", account=account),
        )

    lost = await books.get("/contracts/losses", **{"from": "2025-04", "to": "2025-05"})

    assert lost["opted_out"] == {"contracts": 1, "mrr": "10000"}
    assert lost["churned"] == {"contracts": 1, "mrr": "20000"}


async def test_a_contract_renews_with_no_event_and_the_exceptions_are_listed(books: Books):
    await books.apply(agreed("acme"), agreed("umbra", auto_renew=False))

    exceptions = (await books.get("/contracts", auto_renew="false"))["items"]

    assert [c["account"] for c in exceptions] == ["umbra"]
    told = await notices(books, "2026-01-01")
    assert ("contract.renewed.v1", "2026-12-31", 364) in told
    assert ("contract.ended.v1", "2025-12-31", None) in told


async def test_a_contract_is_as_it_was_told_last_whatever_comes_first(books: Books):
    late = ContractUpserted(
        contract="c1", starts_on=date(2025, 1, 1), term_months=12, auto_renew=False
    )
    await books.apply(
        appended(late, at=TOLD, account="acme", time="2025-01-03T00:00:00Z"), agreed("acme")
    )

    assert [c["auto_renew"] for c in (await books.get("/contracts"))["items"]] == [False]


async def test_a_waived_onboarding_fee_is_a_concession_with_its_outcome(books: Books):
    fee = OnboardingFee(charged="50000", waived=True, reason="asked for", currency="EUR")
    deal = DealClosed(
        seller="kim@example.com",
        icp_score=80,
        purchased_at=datetime(2025, 1, 1, tzinfo=UTC),
        onboarding_fee=fee,
    )
    given = ConcessionGranted(
        kind="discount", value="1000", currency="EUR", by="kim@example.com", in_return="two years"
    )
    await books.apply(
        said(state("acme", "2025-01-01T00:00:00Z", 10000), at=TOLD),
        said(
            state("acme", "2025-05-01T00:00:00Z", 0, status="canceled"), at="2025-05-01T00:00:00Z"
        ),
        appended(deal, at=TOLD, account="acme"),
        appended(given, at="2025-01-02T00:00:00Z", account="acme"),
    )

    listed = (await books.get("/concessions"))["items"]

    assert [(c["kind"], c["value"], c["in_return"], c["reason"]) for c in listed] == [
        ("fee_waiver", "50000", None, "asked for"),
        ("discount", "1000", "two years", None),
    ]
    assert [(o["days"], o["fate"]) for o in listed[0]["outcomes"]] == [
        (90, "kept"),
        (180, "lost"),
        (365, "lost"),
    ]
    table = await books.ask("GET", "/concessions", params={"format": "csv"})
    assert table.text.splitlines()[1].startswith("acme,fee_waiver,50000,EUR,2025-01-01")


async def test_seats_nearly_taken_are_an_opportunity_unless_value_is_the_price(books: Books):
    for account, model in (("seats", "seat"), ("value", "value")):
        profile = AccountUpserted(pricing_model=model, seats=2)
        await books.apply(
            appended(profile, at=TOLD, account=account),
            *(appended(UserIdentified(user=u), at=TOLD, account=account) for u in ("ann", "bob")),
        )

    found = (await books.get("/opportunities"))["items"]
    async with books.database.transaction() as tx:
        first = await tell_of_opportunities(datetime(2025, 1, 2, tzinfo=UTC), tx)
        again = await tell_of_opportunities(datetime(2025, 1, 3, tzinfo=UTC), tx)

    assert [(o["account"], o["kind"], o["signal"], o["blocked_by"]) for o in found] == [
        ("seats", "seat", "2 of 2 seats in use", "value_proven")
    ]
    assert [caused.event.type for caused in first] == ["opportunity.opened.v1"]
    assert again == []


async def test_the_first_payment_of_an_account_is_told_once(books: Books):
    for number in (1, 2):
        payment = PaymentSucceeded(payment=f"p{number}", amount="33000", currency="KRW")
        await books.apply(appended(payment, at=f"2025-01-0{number}T00:00:00Z", account="acme"))

    told = await books.rows(
        "SELECT convert_from(payload, 'UTF8') AS payload FROM outbox"
        " WHERE convert_from(payload, 'UTF8') LIKE '%first_succeeded%'"
    )

    assert len(told) == 1
    assert '"amount":"33000"' in told[0].payload
