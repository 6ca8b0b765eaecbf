"""The report of a month: balances, both views of its movements, and every ratio (P18, P19, P25).

All amounts are exact, in minor units of the reporting currency; a ratio over nothing is None (P28).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import Month, months_between
from services.metrics.model.money import NOTHING, ONE, Amounts, Rates, missing, share, worth
from services.metrics.model.movements import KINDS, Kind
from services.metrics.model.tally import EMPTY, Sums, Tally, Valued

LOSSES = (Kind.CONTRACTION, Kind.CHURN)
GAINS = (Kind.NEW, Kind.REACTIVATION, Kind.EXPANSION)


class Opening(NamedTuple):
    """What stood before the first month of a report: native MRR, and how many customers."""

    mrr: Amounts
    customers: int


class MonthSums(NamedTuple):
    """A month of many accounts, in the reporting currency: what every ratio is made of."""

    mrr_start: Fraction
    fx: Fraction
    tally: Tally
    customers_start: int

    @property
    def base(self) -> Fraction:
        """The opening balance at the month's own rate: what NDR and GRR divide by (P16, P19)."""
        return self.mrr_start + self.fx

    @property
    def mrr_end(self) -> Fraction:
        """The closing balance: the opening one, revalued and moved."""
        return self.base + self.tally.change

    @property
    def customers_end(self) -> int:
        """Customers at the end of the month."""
        return self.customers_start + self.tally.customers_gained

    def plus(self, other: "MonthSums") -> "MonthSums":
        """The month of both groups of accounts together."""
        return MonthSums(
            self.mrr_start + other.mrr_start,
            self.fx + other.fx,
            self.tally.plus(other.tally),
            self.customers_start + other.customers_start,
        )


@dataclass(frozen=True, kw_only=True)
class MonthReport:
    """The fields of a month's report. Losses are negative; a ratio over nothing is None."""

    mrr_start: Fraction
    fx: Fraction
    mrr_end: Fraction
    net: Mapping[Kind, Fraction]
    gross: Mapping[Kind, Fraction]
    customers_start: int
    customers_end: int
    customers_new: int
    customers_reactivated: int
    customers_churned: int
    ndr: Fraction | None
    grr: Fraction | None
    logo_churn: Fraction | None
    net_revenue_churn: Fraction | None
    gross_revenue_churn: Fraction | None
    quick_ratio: Fraction | None
    arpa: Fraction | None
    ltv: Fraction | None
    cac: Fraction | None
    cac_payback_months: Fraction | None
    simple_customer_change: Fraction | None
    simple_revenue_change: Fraction | None


def month_sums(
    opening: Opening,
    tallies: Mapping[tuple[Month, str], Tally],
    rates: Rates,
    first: Month,
    last: Month,
) -> dict[Month, MonthSums]:
    """Each month from `first` to `last` of accounts of one currency each.

    `tallies` hold those months by month and currency, `opening` all that came before. Opening
    balances stand at the rate of the month before and are revalued at the month's own (P16).
    """
    held, customers = dict(opening.mrr), opening.customers
    currencies = sorted({*held, *(currency for _, currency in tallies)})
    sums = {}
    for month in months_between(first, last):
        native = {currency: tallies.get((month, currency), EMPTY) for currency in currencies}
        start = worth(held, rates, month.previous)
        tally = EMPTY
        for currency, of_currency in native.items():
            added = _at_rate(of_currency, rates.factor(currency, month))
            tally = added if tally is EMPTY else tally.plus(added)
        sums[month] = MonthSums(start, worth(held, rates, month) - start, tally, customers)
        for currency, of_currency in native.items():
            held[currency] = held.get(currency, NOTHING) + of_currency.change
        customers += tally.customers_gained
    return sums


def valued_sums(
    valued: Mapping[Month, Valued], first: Month, last: Month
) -> dict[Month, MonthSums]:
    """Each month from `first` to `last` of accounts that were valued one by one.

    `valued` holds all their months up to `last`, from the very first.
    """
    mrr, customers = NOTHING, 0
    for month, (fx, tally) in valued.items():
        if month < first:
            mrr += fx + tally.change
            customers += tally.customers_gained
    sums = {}
    for month in months_between(first, last):
        fx, tally = valued.get(month, Valued(NOTHING, EMPTY))
        sums[month] = MonthSums(mrr, fx, tally, customers)
        mrr, customers = sums[month].mrr_end, sums[month].customers_end
    return sums


def summed(groups: Iterable[Mapping[Month, MonthSums]]) -> dict[Month, MonthSums]:
    """The groups of accounts together; all have the same months."""
    total: dict[Month, MonthSums] = {}
    for group in groups:
        for month, sums in group.items():
            total[month] = total[month].plus(sums) if month in total else sums
    return total


def opening_of(tallies: Mapping[tuple[Month, str], Tally], first: Month) -> Opening:
    """What the tallies of all months before `first` add up to."""
    mrr: dict[str, Fraction] = {}
    customers = 0
    for (month, currency), tally in tallies.items():
        if month < first:
            mrr[currency] = mrr.get(currency, NOTHING) + tally.change
            customers += tally.customers_gained
    return Opening({currency: held for currency, held in mrr.items() if held}, customers)


def month_report(
    sums: MonthSums, *, margin: Fraction | None, spend: Fraction | None
) -> MonthReport:
    """The report of a month. Without gross margin there is no LTV and no payback, without spend
    no CAC: what is unknown is None, never 0.
    """
    base, end = sums.base, sums.mrr_end
    net, customers = sums.tally.net, sums.tally.customers
    ndr, grr = net_retention(base, net), gross_retention(base, net)
    lost = customers.get(Kind.CHURN, 0)
    churn = logo_churn(sums.customers_start, lost)
    per_customer = arpa(end, sums.customers_end)
    joined = customers.get(Kind.NEW, 0)
    cost = cac(spend, joined)
    return MonthReport(
        mrr_start=sums.mrr_start,
        fx=sums.fx,
        mrr_end=end,
        net=_whole(net),
        gross=_whole(sums.tally.gross),
        customers_start=sums.customers_start,
        customers_end=sums.customers_end,
        customers_new=joined,
        customers_reactivated=customers.get(Kind.REACTIVATION, 0),
        customers_churned=lost,
        ndr=ndr,
        grr=grr,
        logo_churn=churn,
        net_revenue_churn=None if ndr is None else ONE - ndr,
        gross_revenue_churn=None if grr is None else ONE - grr,
        quick_ratio=quick_ratio(net),
        arpa=per_customer,
        ltv=ltv(per_customer, margin, churn),
        cac=cost,
        cac_payback_months=cac_payback(cost, net.get(Kind.NEW, NOTHING), joined, margin),
        simple_customer_change=simple_change(sums.customers_start, sums.customers_end),
        simple_revenue_change=simple_change(base, end),
    )


def net_retention(base: Fraction, net: Sums) -> Fraction | None:
    """NDR of a month: (start + expansion + contraction + churn) / start, losses negative (P19,
    J28). Joiners and returners are outside.
    """
    kept = base + _of(net, Kind.EXPANSION) + _of(net, Kind.CONTRACTION) + _of(net, Kind.CHURN)
    return share(kept, base)


def gross_retention(base: Fraction, net: Sums) -> Fraction | None:
    """GRR of a month: sum of min(start, end) / start, which is the start less all losses (P19)."""
    return share(base + _of(net, Kind.CONTRACTION) + _of(net, Kind.CHURN), base)


def logo_churn(customers_start: int, lost: int) -> Fraction | None:
    """The share of the customers at the start that are gone at the end (P19, N4)."""
    return share(lost, customers_start)


def quick_ratio(net: Sums) -> Fraction | None:
    """(new + reactivation + expansion) / (contraction + churn), net view, without fx (P25)."""
    gained = sum((_of(net, kind) for kind in GAINS), NOTHING)
    lost = sum((_of(net, kind) for kind in LOSSES), NOTHING)
    return share(gained, -lost)


def arpa(mrr_end: Fraction, customers_end: int) -> Fraction | None:
    """MRR per customer at the end of the month (P25)."""
    return share(mrr_end, customers_end)


def ltv(
    per_customer: Fraction | None, margin: Fraction | None, churn: Fraction | None
) -> Fraction | None:
    """Base-wide lifetime value: ARPA x margin / logo churn of the month (P25, N11)."""
    if per_customer is None or margin is None or churn is None:
        return None
    return share(per_customer * margin, churn)


def cac(spend: Fraction | None, joined: int) -> Fraction | None:
    """What a new customer cost: the month's spend / its new customers; returners none (P25)."""
    return None if spend is None else share(spend, joined)


def cac_payback(
    cost: Fraction | None, new_mrr: Fraction, joined: int, margin: Fraction | None
) -> Fraction | None:
    """Months until a new customer has paid its cost back: CAC / (new MRR per new customer x
    margin) (P25).
    """
    per_customer = share(new_mrr, joined)
    if cost is None or margin is None or per_customer is None:
        return None
    return share(cost, per_customer * margin)


def simple_change(start: Fraction | int, end: Fraction | int) -> Fraction | None:
    """The article's (day 1 - day 30) / day 1 (N4, N5, D34); negative is growth."""
    return share(start - end, start)


def missing_rates(sums: Iterable[tuple[Month, str]], rates: Rates) -> frozenset[str]:
    """The currencies among the tallies' keys that had no rate in their month: left out of it."""
    return frozenset().union(*(missing((currency,), rates, month) for month, currency in sums))


def _at_rate(tally: Tally, factor: Fraction | None) -> Tally:
    """A native tally in the reporting currency; without a rate its customers alone are known."""
    if factor is ONE:  # as a rule, and fractions are slow
        return tally
    if factor is None:
        return Tally(customers=tally.customers)
    return Tally(
        {kind: amount * factor for kind, amount in tally.net.items()},
        {kind: amount * factor for kind, amount in tally.gross.items()},
        tally.customers,
    )


def _of(sums: Sums, kind: Kind) -> Fraction:
    return sums.get(kind, NOTHING)


def _whole(sums: Sums) -> dict[Kind, Fraction]:
    return {kind: _of(sums, kind) for kind in KINDS}
