"""What is true of the books whatever the history: nothing but the facts decides, and sums close."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from services.metrics.model import books
from services.metrics.model.bridge import Span, bridge_of
from services.metrics.model.calendar import Month, months_between, starts_at
from services.metrics.model.invariants import broken_account, broken_months, broken_retention
from services.metrics.model.money import NOTHING
from services.metrics.model.months import summed
from services.metrics.model.restated import less, restated
from services.metrics.model.state import decoded, encoded
from services.metrics.model.tally import tallied
from services.metrics.model.timeline import (
    amounts_before,
    currencies_of,
    first_paid_at,
    timeline_of,
)
from tests.books.histories import MONTHS, Fact, History, history, known_since
from tests.books.ledger import Ledger

FIRST, LAST = Month.of(MONTHS[0]), Month.of("2025-09")
SEEDS = range(400)
Histories = Iterator[tuple[Random, History]]
TICK = timedelta(microseconds=1)


@pytest.fixture(params=range(4), ids=lambda part: f"part {part}")
def histories(request: pytest.FixtureRequest) -> Iterator[tuple[Random, History]]:
    """Random histories, each with the source of chance that made it."""

    def made() -> Iterator[tuple[Random, History]]:
        for seed in SEEDS[request.param :: 4]:
            random = Random(seed)
            yield random, history(random)

    return made()


def reports(of: History, facts: list[Fact] | None = None, known_at: datetime | None = None) -> Any:
    """Every figure of the months, the movements, a window and the cohorts."""
    ledger = Ledger(of.facts if facts is None else facts, known_at=known_at, **of.settings)
    first, last = str(FIRST), str(LAST)
    return (
        ledger.months(first, last),
        ledger.movements(first, last),
        ledger.window("2025-02", "2025-04"),
        ledger.cohorts(first, last),
    )


def name_of(fact: Fact) -> tuple[str, str]:
    return fact.get("source", "native"), fact["id"]


def shuffled(random: Random, facts: tuple[Fact, ...]) -> list[Fact]:
    """The facts in another order; those of one identity stay in the order they were recorded in,
    which decides between contents that were recorded at one instant."""
    mixed = random.sample(facts, len(facts))
    said = defaultdict(list)
    for fact in facts:
        said[name_of(fact)].append(fact)
    return [said[name_of(fact)].pop(0) for fact in mixed]


def test_the_order_in_which_facts_arrive_changes_nothing(histories: Histories):
    for random, of in histories:
        assert reports(of, shuffled(random, of.facts)) == reports(of)


def test_facts_that_are_delivered_again_change_no_figure(histories: Histories):
    for random, of in histories:
        again = [fact for fact in of.facts for _ in range(random.randint(1, 3))]

        assert reports(of, again) == reports(of)


def test_noise_changes_nothing(histories: Histories):
    for random, of in histories:
        noise = [
            {
                "id": f"n{number}",
                "type": random.choice(("refund", "credit_note", "invoice_item", "usage")),
                "account": "a1",
                "amount": "100",
                "effective_at": random.choice(of.facts)["recorded_at"],
                "recorded_at": random.choice(of.facts)["recorded_at"],
            }
            for number in range(5)
        ]

        assert reports(of, [*noise, *of.facts]) == reports(of)


def test_an_answer_as_of_an_instant_never_changes_by_what_is_learned_later(histories: Histories):
    for random, of in histories:
        known_at = known_since(random, of)
        known = [
            fact for fact in of.facts if datetime.fromisoformat(fact["recorded_at"]) <= known_at
        ]
        later = [
            {**fact, "id": f"late-{fact['id']}", "recorded_at": (known_at + TICK).isoformat()}
            for fact in random.sample(of.facts, min(3, len(of.facts)))
        ]

        answer = reports(of, known)

        assert reports(of, [*later, *of.facts], known_at) == answer


def by_the_seat(fact: Fact) -> Fact:
    """A state priced by nothing but its seats and shares of them."""
    if fact["type"] != "subscription_state":
        return fact

    def shares(discounts: list[Fact]) -> list[Fact]:
        return [each for each in discounts if each.get("kind") == "percent"]

    plain = ("tiers", "tiers_mode", "transform_quantity", "discounts")
    items = [
        {
            **{name: value for name, value in item.items() if name not in plain},
            "unit_amount": item.get("unit_amount", "70"),
            "discounts": shares(item.get("discounts", [])),
        }
        for item in fact["items"]
    ]
    return {**fact, "items": items, "discounts": shares(fact.get("discounts", []))}


def ten_times(fact: Fact) -> Fact:
    """The same with ten times the seats."""
    if fact["type"] != "subscription_state":
        return fact
    items = [{**item, "quantity": 10 * item["quantity"]} for item in fact["items"]]
    return {**fact, "items": items}


def test_ten_times_the_seats_are_ten_times_the_mrr(histories: Histories):
    for _, of in histories:
        once = [by_the_seat(fact) for fact in of.facts]

        months, ten_fold = (
            Ledger(facts, **of.settings).months(str(FIRST), str(LAST))
            for facts in (once, [ten_times(fact) for fact in once])
        )

        for month, report in months.items():
            more = ten_fold[month]
            assert more["mrr_end"] == 10 * report["mrr_end"]
            assert more["fx"] == 10 * report["fx"]
            assert more["gross"] == {kind: 10 * moved for kind, moved in report["gross"].items()}
            assert (more["ndr"], more["grr"]) == (report["ndr"], report["grr"])


def test_nothing_that_is_always_true_is_broken(histories: Histories):
    for _, of in histories:
        ledger = Ledger(of.facts, **of.settings)
        made = ledger.books
        months = books.months_of(made, FIRST, LAST, of.zone, ledger.margin)

        assert broken_months(months) == []
        for month, report in months.items():
            window = books.window_between(made, month, month, of.zone)
            assert broken_retention(month, report, window) == []
        for account, timeline in made.timelines.items():
            assert broken_account(account, timeline, made.rates, of.zone, LAST) == []


def test_every_currency_closes_by_itself(histories: Histories):
    for _, of in histories:
        made = Ledger(of.facts, **of.settings).books
        alone = [each for each in made.timelines.values() if len(currencies_of(each)) == 1]

        tallies = tallied(alone, of.zone).tallies

        held: dict[str, Fraction] = defaultdict(lambda: NOTHING)
        for (month, currency), tally in tallies.items():
            assert sum(tally.net.values()) == sum(tally.gross.values())
            if month <= LAST:
                held[currency] += tally.change
        end = starts_at(LAST.next, of.zone)
        closing: dict[str, Fraction] = defaultdict(lambda: NOTHING)
        for timeline in alone:
            for currency, amount in amounts_before(timeline, end).items():
                closing[currency] += amount
        assert {c: each for c, each in held.items() if each} == dict(closing)


def test_accounts_report_together_what_they_report_apart(histories: Histories):
    for _, of in histories:
        made = Ledger(of.facts, **of.settings).books
        timelines = list(made.timelines.values())

        def sums(of_these: list[Any], made: books.Books = made, zone: str = of.zone) -> Any:
            return books.sums_of(of_these, made.rates, FIRST, LAST, zone)

        apart = summed([sums([]), *(sums([timeline]) for timeline in timelines)])

        for month, together in sums(timelines).items():
            assert together.mrr_end == apart[month].mrr_end
            assert together.fx == apart[month].fx
            assert together.tally == apart[month].tally
            assert together.customers_end == apart[month].customers_end


def test_a_restatement_is_the_new_answer_less_the_old_one(histories: Histories):
    for random, of in histories:
        known_at = known_since(random, of)
        old, new = (
            Ledger(of.facts, known_at=at, **of.settings).books.timelines for at in (known_at, None)
        )

        for account, after in new.items():
            before = old.get(account, ())
            told = restated(before, after, of.zone, LAST)
            for month in months_between(FIRST, LAST):
                ends = starts_at(month.next, of.zone)
                change = less(amounts_before(after, ends), amounts_before(before, ends))
                assert told.get(month, {}) == change


def test_a_bridge_closes_and_its_levers_are_the_ndr_of_the_window(histories: Histories):
    for _, of in histories:
        made = Ledger(of.facts, **of.settings).books
        first, last = Month.of("2025-02"), Month.of("2025-05")
        start, end = starts_at(first, of.zone), starts_at(last.next, of.zone)
        spans = {}
        for account, timeline in made.timelines.items():
            paid_at = first_paid_at(timeline)
            spans[account] = Span(
                amounts_before(timeline, start),
                amounts_before(timeline, end),
                first=paid_at is None or paid_at >= start,
            )

        bridge = bridge_of(spans, made.rates, first, last)

        moved = sum((lever.amount for lever in bridge.levers), NOTHING)
        assert bridge.mrr_start + bridge.fx + moved == bridge.mrr_end
        window = books.window_between(made, first, last, of.zone)
        assert bridge.ndr == window.ndr
        points = [lever.ndr for lever in bridge.levers if lever.ndr is not None]
        assert bridge.ndr == (1 + sum(points) if points else None)
        months = books.months_of(made, first, last, of.zone, None)
        assert bridge.mrr_start == months[first].mrr_start
        assert bridge.mrr_end == months[last].mrr_end


def test_priced_states_are_kept_without_loss(histories: Histories):
    for _, of in histories:
        made = Ledger(of.facts, **of.settings)

        for states in made.states.values():
            assert decoded(encoded(states)) == states


def test_books_are_folded_the_same_in_any_order_of_states(histories: Histories):
    for random, of in histories:
        for states in Ledger(of.facts, **of.settings).states.values():
            mixed = random.sample(states, len(states))

            assert timeline_of(mixed) == timeline_of(states)
