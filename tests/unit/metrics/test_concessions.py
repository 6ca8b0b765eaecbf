"""Concessions: what was given, what came of it, and what was given for nothing (C5, N43)."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from services.metrics.model.concessions import (
    Concession,
    ConcessionKind,
    Fate,
    given_for_nothing,
    outcomes_of,
    waived_fee,
    worth_of,
)
from services.metrics.model.money import rates_of
from shared.events.billing import AnyFact, FxRate
from tests.unit.metrics.builders import books_from, instant, rate, state

GIVEN = Concession(
    account="acme",
    kind=ConcessionKind.DISCOUNT,
    value=Decimal(50),
    currency="KRW",
    granted_at=instant("2026-01-01"),
)
NO_RATES = rates_of([], "KRW")


def fates(*facts: AnyFact, now: str = "2027-06-01") -> list[str]:
    timeline = books_from(*facts).timelines["acme"]
    found = outcomes_of(GIVEN, timeline, NO_RATES, "UTC", instant(now))
    return [str(outcome.fate) for outcome in found]


def test_n43_an_outcome_is_read_90_180_and_365_days_after():
    facts = [
        state("2025-01-01", "100"),
        state("2026-04-01", "120"),  # day 90
        state("2026-06-30", "80"),  # day 180
        state("2027-01-01", status="canceled"),  # day 365
    ]

    assert fates(*facts) == ["grown", "shrunk", "lost"]


def test_n43_a_change_a_moment_after_the_day_is_not_yet_its_outcome():
    facts = [state("2025-01-01", "100"), state("2026-04-01T00:00:00.000001", "120")]

    assert fates(*facts)[0] == "kept"


def test_n43_what_is_to_come_is_pending():
    before = GIVEN.granted_at + timedelta(days=90) - timedelta(microseconds=1)
    timeline = books_from(state("2025-01-01")).timelines["acme"]

    outcomes = outcomes_of(GIVEN, timeline, NO_RATES, "UTC", before)

    assert {(each.fate, each.mrr, each.kept) for each in outcomes} == {(Fate.PENDING, None, None)}


def test_n43_an_outcome_says_how_much_is_kept():
    timeline = books_from(state("2025-01-01"), state("2026-02-01", "75")).timelines["acme"]

    outcome = outcomes_of(GIVEN, timeline, NO_RATES, "UTC", instant("2026-05-01"))[0]

    assert (outcome.days, outcome.mrr, outcome.kept) == (90, Fraction(75), Fraction(3, 4))


def test_n43_what_was_given_for_nothing_is_a_share_of_all_by_value():
    tied = Concession(
        account="acme",
        kind=ConcessionKind.CREDIT,
        value=Decimal(150),
        currency="KRW",
        granted_at=GIVEN.granted_at,
        in_return="a two-year term",
    )

    assert given_for_nothing([GIVEN, tied], NO_RATES, "UTC") == Fraction(1, 4)
    assert given_for_nothing([], NO_RATES, "UTC") is None


def test_n43_a_concession_is_worth_its_value_at_the_rate_of_its_month():
    stated = rate("2026-01", "1300")
    assert isinstance(stated, FxRate)
    abroad = Concession(
        account="acme",
        kind=ConcessionKind.CREDIT,
        value=Decimal(100),
        currency="USD",
        granted_at=GIVEN.granted_at,
    )

    assert worth_of(abroad, rates_of([stated], "KRW"), "UTC") == 1300


@pytest.mark.parametrize("reason", [None, "the customer refused"])
def test_c5_a_waived_fee_is_a_concession_of_its_value(reason: str | None):
    waived = waived_fee(
        "acme",
        charged=Decimal(990_000),
        waived=True,
        currency="KRW",
        granted_at=GIVEN.granted_at,
        reason=reason,
    )

    assert waived is not None
    assert (waived.kind, waived.value) == (ConcessionKind.FEE_WAIVER, Decimal(990_000))
    assert (waived.in_return, waived.reason) == (None, reason)


def test_c5_a_fee_that_was_charged_is_no_concession():
    at = GIVEN.granted_at

    fee = waived_fee(
        "acme", charged=Decimal(1), waived=False, currency="KRW", granted_at=at, reason=None
    )

    assert fee is None
