"""Priced states: kept without loss, whatever their size."""

from fractions import Fraction

import pytest

from services.metrics.model.books import priced_states
from services.metrics.model.state import decoded, encoded
from tests.unit.metrics.builders import item, state


@pytest.mark.parametrize(
    ("amount", "quantity", "interval", "mrr"),
    [
        ("0", 1, "month", Fraction(0)),
        ("100", 7, "month", Fraction(700)),
        ("100", 1, "year", Fraction(100, 12)),
        ("0.000000000000000001", 1, "day", Fraction(365, 12 * 10**18)),
        (str(2**59), 16, "month", Fraction(2**63)),
        (str(10**18 - 1), 10**12, "month", Fraction((10**18 - 1) * 10**12)),
    ],
)
def test_an_amount_is_kept_to_its_last_digit(
    amount: str, quantity: int, interval: str, mrr: Fraction
):
    priced = priced_states([state("2026-01-01", items=[item(amount, quantity, interval=interval)])])

    (kept,) = decoded(encoded(priced["acme"]))

    assert kept == priced["acme"][0]
    assert kept.turns[0].mrr == mrr
