"""Any history, in any order and any batches, against the calculator that shares no code with us."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from random import Random
from typing import Any

import pytest

from services.metrics.model.money import ratio, shown
from tests.books.calculator import Calculator, months_from_to
from tests.books.histories import MONTHS, History, seeded
from tests.service.metrics.books import Books, said

FIRST, LAST = MONTHS[0], "2025-09"
SPAN = {"from": FIRST, "to": LAST}
RATIOS = {
    "ndr",
    "grr",
    "logo_churn",
    "net_revenue_churn",
    "gross_revenue_churn",
    "quick_ratio",
    "cac_payback_months",
    "simple_customer_change",
    "simple_revenue_change",
    "logo_retention",
    "nps",
}
TABLES = (
    "fact",
    "contested",
    "claim",
    "step",
    "account",
    "month_rollup",
    "scheduled_movement",
)
SEEDS, SEEDS_OF_THE_LONG_RUN = range(25), range(25, 600)
_numbers = count()


async def applied(books: Books, history: History, chance: Random | None, size: int) -> str:
    """A workspace of its own into which the history came in batches, shuffled by chance if any."""
    workspace = f"h-{next(_numbers)}"
    await books.configure(
        workspace,
        time_zone=history.zone,
        reporting_currency=history.currency,
        gross_margin=history.margin,
    )
    events = [
        said(fact, at="2026-01-01T00:00:00Z", recorded_at=fact["recorded_at"], workspace=workspace)
        for fact in (history.facts if chance is None else shuffled(history.facts, chance))
    ]
    await books.apply(*events, size=size)
    return workspace


def shuffled(facts: Sequence[dict[str, Any]], chance: Random) -> list[dict[str, Any]]:
    """The facts in another order, but for records of one fact: of these the log's order tells."""
    order = list(facts)
    chance.shuffle(order)
    waiting = {fact["id"]: [each for each in facts if each["id"] == fact["id"]] for fact in facts}
    return [waiting[fact["id"]].pop(0) for fact in order]


def as_shown(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report of the calculator in the form of an answer."""
    return {name: _as_shown(name, value) for name, value in report.items()}


def _as_shown(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return as_shown(value)
    if value is None or isinstance(value, int):
        return value
    return ratio(value) if name in RATIOS else shown(value)


async def assert_answers(
    books: Books, workspace: str, history: History, known_at: datetime | None
) -> None:
    """Every report of the service is the calculator's."""
    wanted = Calculator(history.facts, known_at=known_at, **history.settings)
    asked = {**SPAN, "workspace": workspace}
    if known_at is not None:
        asked["known_at"] = known_at.isoformat()
    months = await books.get("/revenue/months", **asked)
    assert months["months"] == {
        month: as_shown(wanted.month(month)) for month in months_from_to(FIRST, LAST)
    }
    assert months["duplicates_ignored"] == wanted.duplicates
    assert sorted((c["source"], c["id"]) for c in months["conflicts"]) == sorted(
        tuple(name) for name in wanted.conflicts
    )
    movements = (await books.get("/revenue/movements", limit=500, **asked))["items"]
    assert sorted(
        (datetime.fromisoformat(m["at"]), m["account"], m["type"], m["amount"]) for m in movements
    ) == sorted(
        (at, account, kind, shown(amount))
        for at, account, kind, amount in wanted.movements(FIRST, LAST)
    )
    window = await books.get("/revenue/windows", **{**asked, "from": "2025-02", "to": "2025-05"})
    expected = as_shown(wanted.window("2025-02", "2025-05"))
    assert {name: window[name] for name in expected} == expected
    cohorts = (await books.get("/revenue/cohorts", **asked))["cohorts"]
    assert cohorts == as_shown(wanted.cohorts(FIRST, LAST))


async def assert_same_answers(books: Books, seed: int) -> None:
    """The service answers as the calculator does, now and as of an earlier knowledge."""
    history, known_at = seeded(seed)
    chance = Random(seed)
    workspace = await applied(books, history, chance, chance.randint(1, 20))
    try:
        await assert_answers(books, workspace, history, None)
        await assert_answers(books, workspace, history, known_at)
        point = await books.get("/revenue/points", at=known_at.isoformat(), workspace=workspace)
        wanted = Calculator(history.facts, known_at=known_at, **history.settings).point(known_at)
        assert {name: point[name] for name in wanted} == as_shown(wanted)
    except BaseException as error:
        error.add_note(f"history of seed {seed}")
        raise


async def test_every_answer_of_the_service_is_the_one_of_the_calculator(books: Books):
    for seed in SEEDS:
        await assert_same_answers(books, seed)


@pytest.mark.slow
async def test_hundreds_of_histories_give_the_answers_of_the_calculator(books: Books):
    for seed in SEEDS_OF_THE_LONG_RUN:
        await assert_same_answers(books, seed)


async def test_any_arrival_of_the_same_facts_gives_the_same_tables(books: Books):
    for seed in SEEDS:
        history, _ = seeded(seed)
        chance = Random(seed)

        at_once = await applied(books, history, Random(0), 1000)
        bit_by_bit = await applied(books, history, chance, chance.randint(1, 20))

        assert await tables(books, bit_by_bit) == await tables(books, at_once), seed


async def test_facts_recorded_in_order_give_the_tables_of_any_other_arrival(books: Books):
    for seed in SEEDS:
        history = recorded_at_once(seeded(seed)[0])
        chance = Random(seed)

        in_order = await applied(books, history, None, chance.randint(1, 5))
        shuffled = await applied(books, history, chance, chance.randint(1, 20))

        assert await tables(books, shuffled) == await tables(books, in_order), seed


def recorded_at_once(history: History) -> History:
    """The states of the history, each recorded when it came true."""
    states = [
        {**fact, "recorded_at": fact["effective_at"]}
        for fact in history.facts
        if fact["type"] == "subscription_state"
    ]
    once = {fact["id"]: fact for fact in reversed(states)}
    ordered = sorted(once.values(), key=lambda fact: datetime.fromisoformat(fact["recorded_at"]))
    return replace(history, facts=tuple(ordered))


async def tables(books: Books, workspace: str) -> dict[str, list[str]]:
    """Every row of the workspace, but for where a fact stands in the log."""
    return {
        table: sorted(
            row.line
            for row in await books.rows(
                "SELECT (to_jsonb(t) - 'workspace' - 'part' - 'offset')::text AS line"
                f" FROM {table} t WHERE workspace = :workspace",
                workspace=workspace,
            )
        )
        for table in TABLES
    }
