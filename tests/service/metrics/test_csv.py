"""Every list as CSV says what it says as JSON, whole and not paged."""

import csv
import io
from datetime import date
from typing import Any

import pytest

from shared.events.ingest import AccountUpserted, ContractUpserted, UserIdentified
from tests.service.metrics.books import Books, appended, said, state
from tests.service.metrics.test_told_once import close

SPAN = {"from": "2025-01", "to": "2025-03"}


async def lines(books: Books, path: str, **parameters: Any) -> list[dict[str, str]]:
    """The lines of a list as CSV."""
    answer = await books.ask("GET", path, params={**parameters, "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture
async def company(books: Books) -> Books:
    """Three accounts with contracts and seats, and two closed months."""
    await books.configure()
    at = "2025-01-05T00:00:00Z"
    for account in ("a", "b", "c"):
        terms = ContractUpserted(
            contract=f"k-{account}", starts_on=date(2025, 1, 1), auto_renew=account != "b", seats=1
        )
        await books.apply(
            said(state(account, at, 1000), at=at),
            appended(AccountUpserted(pricing_model="seat"), at=at, account=account),
            appended(terms, at=at, account=account),
            appended(UserIdentified(user=f"u-{account}"), at=at, account=account),
        )
    await close(books)
    return books


async def test_months_have_a_line_each(company: Books):
    told = await company.months("2025-01", "2025-03")

    found = await lines(company, "/revenue/months", **SPAN)

    assert [line["month"] for line in found] == list(told)
    for line, month in zip(found, told.values(), strict=True):
        assert (line["mrr_end"], line["net_new"]) == (month["mrr_end"], month["net"]["new"])
        assert line["gross_churn"] == month["gross"]["churn"]


async def test_cohorts_have_a_line_for_each_of_their_months(company: Books):
    told = (await company.get("/revenue/cohorts", **SPAN))["cohorts"]

    found = await lines(company, "/revenue/cohorts", **SPAN)

    assert [(line["cohort"], line["month"], line["mrr"]) for line in found] == [
        (cohort, month, row["mrr"])
        for cohort, body in told.items()
        for month, row in body["rows"].items()
    ]
    assert found


@pytest.mark.parametrize(
    ("path", "column", "number"),
    [
        ("/contracts", "contract", 3),
        ("/opportunities", "opportunity", 3),
        ("/revenue/closed-months", "digest", 3),
    ],
)
async def test_a_list_is_whole_as_csv_whatever_a_page_holds(
    company: Books, path: str, column: str, number: int
):
    told = (await company.get(path))["items"]

    found = await lines(company, path, limit=1)

    assert [line[column] for line in found] == [each[column] for each in told]
    assert len(found) == number


async def test_contracts_as_csv_are_filtered_like_the_list(company: Books):
    assert [each["contract"] for each in await lines(company, "/contracts", auto_renew=False)] == [
        "k-b"
    ]


async def test_lifetime_values_are_paged_and_whole_as_csv(company: Books):
    refused = await company.ask("GET", "/revenue/clv", params={"month": "2025-03"})
    await company.configure(gross_margin="0.8")

    first = await company.get("/revenue/clv", month="2025-03", limit=2)
    second = await company.get("/revenue/clv", month="2025-03", cursor=first["next_cursor"])
    found = await lines(company, "/revenue/clv", month="2025-03")

    assert (refused.status_code, refused.json()["code"]) == (409, "margin_unknown")
    told = first["items"] + second["items"]
    assert [(each["account"], each["realised"], each["clv"]) for each in told] == [
        ("a", "2400", None),
        ("b", "2400", None),
        ("c", "2400", None),
    ]
    assert [line["account"] for line in found] == ["a", "b", "c"]
