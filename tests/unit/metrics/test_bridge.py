"""The bridge by lever (J30): what raised and lowered retention, down to accounts."""

from fractions import Fraction
from typing import Any

from services.metrics.model.bridge import Span, bridge_of, gap_to, without_losses
from services.metrics.model.calendar import Month
from services.metrics.model.money import Amounts, rates_of
from services.metrics.model.movements import Kind
from shared.events.billing import FxRate
from tests.unit.metrics.builders import rate

JANUARY, MARCH = Month(2026, 1), Month(2026, 3)


def won(amount: int) -> Amounts:
    return {"KRW": Fraction(amount)} if amount else {}


def span(start: int, end: int, *, first: bool = False) -> Span:
    return Span(won(start), won(end), first)


ACCOUNTS = {
    "grows": span(60, 90),
    "grows a little": span(20, 25),
    "shrinks": span(10, 5),
    "leaves": span(10, 0),
    "joins": span(0, 40, first=True),
    "returns": span(0, 7),
}


def test_j30_every_lever_has_its_amount_and_its_points_of_ndr():
    bridge = bridge_of(ACCOUNTS, rates_of([], "KRW"), JANUARY, MARCH)

    levers: Any = {lever.kind: (lever.amount, lever.ndr) for lever in bridge.levers}
    assert levers == {
        Kind.NEW: (40, None),
        Kind.REACTIVATION: (7, None),
        Kind.EXPANSION: (35, Fraction(35, 100)),
        Kind.CONTRACTION: (-5, Fraction(-5, 100)),
        Kind.CHURN: (-10, Fraction(-10, 100)),
    }
    assert [bridge.mrr_start, bridge.fx, bridge.mrr_end] == [100, 0, 167]
    assert bridge.ndr == Fraction(120, 100)


def test_j30_a_lever_names_its_accounts_the_largest_first():
    bridge = bridge_of(ACCOUNTS, rates_of([], "KRW"), JANUARY, MARCH)

    expansion = next(lever for lever in bridge.levers if lever.kind is Kind.EXPANSION)

    assert expansion.accounts == (("grows", Fraction(30)), ("grows a little", Fraction(5)))


def test_j30_the_gap_to_the_target_is_in_points():
    bridge = bridge_of(ACCOUNTS, rates_of([], "KRW"), JANUARY, MARCH)

    assert gap_to(Fraction(125, 100), bridge) == Fraction(5, 100)
    assert without_losses(bridge) == Fraction(135, 100)


def test_j30_without_a_base_no_lever_has_points():
    bridge = bridge_of({"joins": ACCOUNTS["joins"]}, rates_of([], "KRW"), JANUARY, MARCH)

    assert bridge.ndr is None
    assert gap_to(Fraction(1), bridge) is None
    assert without_losses(bridge) is None


def test_j30_the_exchange_rate_is_no_lever():
    stated = [rate("2025-12", "1000"), rate("2026-02", "1100")]
    rates = rates_of([each for each in stated if isinstance(each, FxRate)], "KRW")
    dollars = Span({"USD": Fraction(100)}, {"USD": Fraction(200)}, first=False)

    bridge = bridge_of({"abroad": dollars}, rates, JANUARY, MARCH)

    assert [bridge.mrr_start, bridge.fx, bridge.mrr_end] == [1000, 100, 2200]
    assert bridge.ndr == 2
