"""Values as every CSV list writes them."""

from decimal import Decimal

import pytest
from pydantic import BaseModel

from services.metrics.api.csv_lists import cell, flat


@pytest.mark.parametrize("text", ["=1+1", "@sum", "+1", "-1+2", "\tx"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(text: str):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("amount", ["-5", "-5.25"])
def test_a_negative_amount_stays_a_number(amount: str):
    assert cell(amount) == amount


def test_an_amount_has_no_exponent():
    assert cell(Decimal("5E+4")) == "50000"


class Inner(BaseModel):
    new: str


class Outer(BaseModel):
    month: str
    net: Inner


def test_the_fields_of_a_body_within_a_body_bear_both_names():
    assert flat(Outer(month="2025-01", net=Inner(new="5"))) == {"month": "2025-01", "net_new": "5"}
