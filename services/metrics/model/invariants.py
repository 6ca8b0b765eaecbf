"""What is always true of the books: asserted when a month is closed, and after every rebuild."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from services.metrics.model.calendar import Month, ends_at
from services.metrics.model.money import NOTHING, Rates, worth
from services.metrics.model.months import MonthReport
from services.metrics.model.movements import movements_of
from services.metrics.model.timeline import Timeline, amounts_before
from services.metrics.model.windows import Window


class Broken(NamedTuple):
    """An invariant that does not hold: which, where, and both figures that should be equal."""

    invariant: str
    where: str
    found: Fraction | int | None
    expected: Fraction | int | None


def broken_months(months: Mapping[Month, MonthReport]) -> list[Broken]:
    """What does not hold of consecutive months, each by itself and from one to the next."""
    broken = [
        breach for month, report in sorted(months.items()) for breach in _month(month, report)
    ]
    return broken + list(_chain(sorted(months.items())))


def broken_account(
    account: str, timeline: Timeline, rates: Rates, zone: str, through: Month
) -> list[Broken]:
    """Whether the sum of the account's movements up to the end of `through` is its MRR then."""
    moved = movements_of(timeline, rates, zone, through)
    total = sum((movement.amount for movement in moved), NOTHING)
    held = worth(amounts_before(timeline, ends_at(through, zone)), rates, through)
    return _unless_equal("the sum of an account's movements is its MRR", account, total, held)


def broken_retention(month: Month, report: MonthReport, window: Window) -> list[Broken]:
    """Whether NDR, GRR and logo churn by the two ends of one month are those by net movements."""
    pairs = {
        "NDR by ends is NDR by net movements": (window.ndr, report.ndr),
        "GRR by ends is GRR by net movements": (window.grr, report.grr),
        "logo churn by ends is that by net movements": (window.logo_churn, report.logo_churn),
        "the base by ends is the opening balance revalued": (
            window.base,
            report.mrr_start + report.fx,
        ),
    }
    return [
        breach
        for invariant, (found, expected) in pairs.items()
        for breach in _unless_equal(invariant, str(month), found, expected)
    ]


def _month(month: Month, report: MonthReport) -> Iterable[Broken]:
    opened = report.mrr_start + report.fx
    where = str(month)
    net, gross = sum(report.net.values(), NOTHING), sum(report.gross.values(), NOTHING)
    yield from _unless_equal("start + fx + net = end", where, opened + net, report.mrr_end)
    yield from _unless_equal("start + fx + gross = end", where, opened + gross, report.mrr_end)
    customers = report.customers_start + report.customers_new + report.customers_reactivated
    yield from _unless_equal(
        "customers at the start + gained - lost = at the end",
        where,
        customers - report.customers_churned,
        report.customers_end,
    )


def _chain(months: list[tuple[Month, MonthReport]]) -> Iterable[Broken]:
    for (month, report), (after, following) in pairwise(months):
        if after != month.next:
            continue
        yield from _unless_equal(
            "a month's end is the next one's start",
            str(after),
            following.mrr_start,
            report.mrr_end,
        )
        yield from _unless_equal(
            "the customers at a month's end are those at the next one's start",
            str(after),
            following.customers_start,
            report.customers_end,
        )


def _unless_equal(
    invariant: str, where: str, found: Fraction | int | None, expected: Fraction | int | None
) -> list[Broken]:
    return [] if found == expected else [Broken(invariant, where, found, expected)]
