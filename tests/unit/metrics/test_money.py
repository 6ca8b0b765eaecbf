"""Money: exact inside, rounded once when it is shown; rates that are not known are not guessed."""

from fractions import Fraction

import pytest

from services.metrics.model.calendar import Month
from services.metrics.model.money import displayed, missing, rates_of, ratio, shown, worth
from shared.events.billing import FxRate
from tests.unit.metrics.builders import rate, report, state

RATES = rates_of([each for each in [rate("2026-02", "1300")] if isinstance(each, FxRate)], "KRW")
JANUARY, FEBRUARY = Month(2026, 1), Month(2026, 2)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(1200), "1200"),
        (Fraction(-5), "-5"),
        (Fraction(1, 2), "0.500000000"),
        (Fraction(100, 3), "33.333333333"),
        (Fraction(-200, 3), "-66.666666667"),
        (Fraction(10**30, 7), "142857142857142857142857142857.142857143"),
    ],
)
def test_json_money_is_whole_or_has_nine_decimals(amount: Fraction, text: str):
    assert shown(amount) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (Fraction(2501, 2), "USD", "12.50"),  # half a cent goes to the even side
        (Fraction(2503, 2), "USD", "12.52"),
        (Fraction(-1), "USD", "-0.01"),
        (Fraction(100, 3), "KRW", "33"),
        (Fraction(12345), "KWD", "12.345"),
    ],
)
def test_people_see_major_units_rounded_once(amount: Fraction, currency: str, text: str):
    assert displayed(amount, currency) == text


def test_a_ratio_is_a_number_and_nothing_stays_nothing():
    assert ratio(Fraction(12, 100)) == 0.12
    assert ratio(None) is None


def test_a_currency_without_a_rate_yet_is_left_out_and_named():
    amounts = {"KRW": Fraction(5), "USD": Fraction(1)}

    assert worth(amounts, RATES, JANUARY) == 5
    assert missing(amounts, RATES, JANUARY) == {"USD"}
    assert worth(amounts, RATES, FEBRUARY) == 5 + 13
    assert missing(amounts, RATES, FEBRUARY) == frozenset()


def test_what_becomes_known_by_its_first_rate_comes_in_as_fx():
    facts = [rate("2026-02", "1300"), state("2026-01-10", "100", currency="USD")]

    january, february = report("2026-01", *facts), report("2026-02", *facts)

    assert (january.mrr_end, january.customers_end) == (0, 1)
    assert (february.mrr_start, february.fx, february.mrr_end) == (0, 1300, 1300)


@pytest.mark.parametrize("text", ["2026", "2026-1", "2026-13", "2026-00", "26-01", "2026/01", ""])
def test_what_is_no_month_is_refused(text: str):
    with pytest.raises(ValueError, match="month"):
        Month.of(text)


def test_months_count_over_years():
    assert Month(2026, 12).next == Month(2027, 1)
    assert Month(2026, 1).previous == Month(2025, 12)
    assert Month(2027, 3).since(Month(2025, 11)) == 16
    assert str(Month(2026, 3)) == "2026-03"
