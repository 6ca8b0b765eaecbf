"""Money across currencies, exact until it is shown: minor units, a rate a month, one rounding."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from operator import attrgetter, itemgetter
from typing import NamedTuple

from services.metrics.model.calendar import Month
from services.metrics.model.identity import FactName, last_recorded, name_of
from shared.events.billing import FxRate
from shared.events.currencies import DECIMALS

Amounts = Mapping[str, Fraction]
"""Minor units by currency; a currency of which there is nothing is absent."""

NOTHING = Fraction(0)
ONE = Fraction(1)
SHOWN_DECIMALS = 9  # of a minor unit, where it is not whole; readers compare to the sixth
_PRECISION = 60  # digits: 18 before the point of a fact, times thousands of accounts, and 9 behind


class Rate(NamedTuple):
    """From `month` on, until the next: the worth of one minor unit, and the fact that says so."""

    month: Month
    factor: Fraction
    fact: FactName


@dataclass(frozen=True)
class Rates:
    """What one minor unit of each currency is worth in minor units of `reporting`, by month."""

    reporting: str
    known: Mapping[str, tuple[Rate, ...]]

    def factor(self, currency: str, month: Month) -> Fraction | None:
        """The worth in `month`: its own rate, else the last known before (P16); None if none is."""
        if currency == self.reporting:
            return ONE
        known = self.known.get(currency, ())
        told = bisect_right(known, month, key=attrgetter("month"))
        return known[told - 1].factor if told else None

    def months_of(self, currency: str) -> tuple[Month, ...]:
        """The months for which a rate of the currency was stated."""
        if currency == self.reporting:
            return ()
        return tuple(rate.month for rate in self.known.get(currency, ()))

    def facts_of(self, currencies: Iterable[str], month: Month) -> tuple[FactName, ...]:
        """The facts that state rates of the currencies for that very month, in order of name."""
        return tuple(
            sorted(
                rate.fact
                for currency in currencies
                if currency != self.reporting
                for rate in self.known.get(currency, ())
                if rate.month == month
            )
        )


def rates_of(facts: Iterable[FxRate], reporting: str) -> Rates:
    """The rates that the facts state; of one month's the last recorded stands (P16)."""
    stated = last_recorded(facts, key=lambda fact: (fact.currency, Month.of(fact.month)))
    known: dict[str, list[Rate]] = {}
    for (currency, month), fact in sorted(stated.items(), key=itemgetter(0)):
        factor = minor_factor(fact.rate, currency, reporting)
        known.setdefault(currency, []).append(Rate(month, factor, name_of(fact)))
    return Rates(reporting, {currency: tuple(rates) for currency, rates in known.items()})


def minor_factor(rate: Decimal, currency: str, reporting: str) -> Fraction:
    """The rate between major units as one between minor units (P17): won 0, dollar 2, dinar 3."""
    return Fraction(rate) * Fraction(10) ** (DECIMALS[reporting] - DECIMALS[currency])


def worth(amounts: Amounts, rates: Rates, month: Month) -> Fraction:
    """The amounts in the reporting currency at the rates of `month`; one without rate is left out.

    What is left out is told by `missing`: a figure is never guessed.
    """
    total = NOTHING
    for currency, amount in amounts.items():
        factor = rates.factor(currency, month)
        if factor is ONE and len(amounts) == 1:
            return amount  # by far the most frequent, and fractions are slow
        if factor is not None:
            total += amount * factor
    return total


def missing(currencies: Iterable[str], rates: Rates, month: Month) -> frozenset[str]:
    """The currencies that have no rate by `month`."""
    return frozenset(each for each in currencies if rates.factor(each, month) is None)


def shown(amount: Fraction) -> str:
    """A decimal string in minor units: whole if it is, else rounded once to nine decimals."""
    if amount.denominator == 1:
        return str(amount.numerator)
    return format(_rounded(amount, SHOWN_DECIMALS), "f")


def displayed(amount: Fraction, currency: str) -> str:
    """Major units for people, rounded once to what the currency has (P17): `12.50`, `1200`."""
    decimals = DECIMALS[currency]
    return format(_rounded(amount / 10**decimals, decimals), "f")


def ratio(share: Fraction | None) -> float | None:
    """A ratio as a JSON number; None stays None (P28)."""
    return None if share is None else float(share)


def share(part: Fraction | int, whole: Fraction | int) -> Fraction | None:
    """`part` / `whole`; a ratio over nothing is None, neither 0 nor 100 % (P28)."""
    return None if whole == 0 else Fraction(part, whole)


def _rounded(amount: Fraction, decimals: int) -> Decimal:
    """The amount to so many decimals, halves to the even side."""
    with localcontext() as context:
        context.prec = _PRECISION
        return Decimal(round(amount * 10**decimals)).scaleb(-decimals)
