"""Settings and the numbers by which roles steer."""

from datetime import UTC, datetime

import msgspec
import pytest

from tests.service.metrics.books import Books, said, state

NOW = datetime(2025, 4, 10, tzinfo=UTC)


async def test_the_margin_is_taken_at_once_and_told_to_ingest(books: Books):
    changed = await books.ask("POST", "/settings", json={"gross_margin": "0.75"})

    assert changed.json() == {"gross_margin": "0.75", "ndr_target": "1.2"}
    assert await books.get("/settings") == changed.json()
    (row,) = await books.rows("SELECT payload FROM outbox WHERE topic = 'metrics.revenue.v1'")
    event = msgspec.json.decode(bytes(row.payload))
    assert event["type"] == "metrics.settings_changed.v1"
    assert event["data"] == {"gross_margin": "0.75"}
    assert event["partitionkey"] == "w1/"


async def test_the_target_of_ndr_is_120_percent_until_somebody_sets_it(books: Books):
    before = await books.get("/settings")

    await books.ask("POST", "/settings", json={"ndr_target": "1.1"})

    assert before["ndr_target"] == "1.2"
    assert (await books.get("/settings"))["ndr_target"] == "1.1"


@pytest.mark.parametrize(
    "change", [{}, {"gross_margin": "1.01"}, {"gross_margin": "x"}, {"ndr_target": "0"}]
)
async def test_a_setting_that_cannot_be_is_refused(books: Books, change: dict[str, str]):
    answer = await books.ask("POST", "/settings", json=change)

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"


async def test_the_kpis_tell_what_is_and_what_is_missing_to_the_target(books: Books):
    await books.configure(gross_margin="0.5")
    books.set_clock(NOW)
    await books.apply(
        said(state("acme", "2024-01-05T00:00:00Z", 10000), at="2024-01-05T00:00:01Z"),
        said(state("acme", "2025-03-05T00:00:00Z", 11000), at="2025-03-05T00:00:01Z"),
        said(state("left", "2025-01-05T00:00:00Z", 1000), at="2025-01-05T00:00:01Z"),
        said(
            state("left", "2025-03-06T00:00:00Z", 0, status="canceled"), at="2025-03-06T00:00:01Z"
        ),
        said(
            state("late", "2025-04-01T00:00:00Z", 500, status="past_due"),
            at="2025-04-01T00:00:01Z",
        ),
        *(
            said(
                {"type": "acquisition_cost", "id": f"c-{a}", "account": a, "amount": "6000"},
                at="2025-01-05T00:00:01Z",
            )
            for a in ("acme", "left")
        ),
    )

    kpis = await books.get("/kpis")

    assert (kpis["mrr"], kpis["arr"], kpis["at_risk_mrr"]) == ("11500", "138000", "500")
    assert (kpis["customers"], kpis["month"]) == (2, "2025-03")
    assert kpis["ndr_year"] == pytest.approx(1.1)
    assert kpis["ndr_to_target"] == "1000"
    assert kpis["one_point"]["next_month"] == "110"
    assert kpis["payback"] == {
        "accounts": 2,
        "paid_back": 1,
        "churned_before": 1,
        "lost": "5000",
    }
