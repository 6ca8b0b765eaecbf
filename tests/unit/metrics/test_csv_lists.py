"""Values as every CSV list writes them."""

from decimal import Decimal

import pytest

from services.metrics.api.csv_lists import cell


@pytest.mark.parametrize("text", ["=1+1", "@sum", "+1", "-1+2", "\tx"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(text: str):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("amount", ["-5", "-5.25"])
def test_a_negative_amount_stays_a_number(amount: str):
    assert cell(amount) == amount


def test_an_amount_has_no_exponent():
    assert cell(Decimal("5E+4")) == "50000"
