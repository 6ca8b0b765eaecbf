"""Sums of a month that can be kept: additive, in native currency, so that a rate changes none.

An account that only ever held one currency adds to the tally of that currency. One that held
several cannot: what its changes are called depends on rates. Such accounts are valued one by one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple

from services.metrics.model.calendar import Month, month_at
from services.metrics.model.money import NOTHING, Amounts, Rates, worth
from services.metrics.model.movements import Jump, Kind, jumps_of, kind_of, movement_of
from services.metrics.model.timeline import Timeline, currencies_of

Sums = Mapping[Kind, Fraction]
Counts = Mapping[Kind, int]
COUNTED = (Kind.NEW, Kind.REACTIVATION, Kind.CHURN)


@dataclass(frozen=True)
class Tally:
    """What accounts did in a month: `net` by their two ends, `gross` by every jump (P18).

    Losses are negative. `customers` counts accounts of the net view: new, back and lost.
    """

    net: Sums = field(default_factory=dict)
    gross: Sums = field(default_factory=dict)
    customers: Counts = field(default_factory=dict)

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            _added(self.net, other.net),
            _added(self.gross, other.gross),
            {
                kind: count
                for kind in COUNTED
                if (count := self.customers.get(kind, 0) + other.customers.get(kind, 0))
            },
        )

    def negated(self) -> "Tally":
        """What takes this tally away again."""
        return Tally(
            {kind: -amount for kind, amount in self.net.items()},
            {kind: -amount for kind, amount in self.gross.items()},
            {kind: -count for kind, count in self.customers.items()},
        )

    @property
    def change(self) -> Fraction:
        """By how much MRR rose."""
        return sum(self.net.values(), NOTHING)

    @property
    def customers_gained(self) -> int:
        """By how much the number of customers rose."""
        gained = self.customers.get(Kind.NEW, 0) + self.customers.get(Kind.REACTIVATION, 0)
        return gained - self.customers.get(Kind.CHURN, 0)


EMPTY = Tally()


class Valued(NamedTuple):
    """A month of one account, or of several, in the reporting currency, with its revaluation."""

    fx: Fraction
    tally: Tally


class Tallied(NamedTuple):
    """Tallies of all accounts of one currency, by month and currency, and the timelines of the
    others.
    """

    tallies: dict[tuple[Month, str], Tally]
    mixed: tuple[Timeline, ...]


def tallied(timelines: Iterable[Timeline], zone: str) -> Tallied:
    """The timelines summed up, months taken in `zone`."""
    tallies: dict[tuple[Month, str], Tally] = {}
    mixed = []
    for timeline in timelines:
        currencies = currencies_of(timeline)
        if len(currencies) > 1:
            mixed.append(timeline)
        for currency in currencies if len(currencies) == 1 else ():
            for month, tally in tallies_of(timeline, currency, zone).items():
                key = (month, currency)
                tallies[key] = tallies.get(key, EMPTY).plus(tally)
    return Tallied(tallies, tuple(mixed))


def tallies_of(timeline: Timeline, currency: str, zone: str) -> dict[Month, Tally]:
    """What an account of one currency adds, by month; a month without a jump has no entry."""
    return tallies_of_jumps(jumps_of(timeline), currency, zone)


def tallies_of_jumps(all_jumps: Iterable[Jump], currency: str, zone: str) -> dict[Month, Tally]:
    """The same of some of its jumps: all of the months that they lie in."""
    tallies = {}
    for month, jumps in _by_month(all_jumps, zone):
        gross = _gross(_native_move(jump, currency) for jump in jumps)
        start, end = jumps[0].before.get(currency, NOTHING), jumps[-1].after.get(currency, NOTHING)
        net, customers = net_view(
            start, end, paid_before=bool(start), pays_after=bool(end), first=jumps[0].first
        )
        tallies[month] = Tally(net, gross, customers)
    return tallies


def valued_months(
    timeline: Timeline, rates: Rates, zone: str, through: Month
) -> dict[Month, Valued]:
    """What any account adds up to `through`, at the rates of each month (P16); a month in which
    it neither moves nor is revalued has no entry.
    """
    by_month = {
        month: jumps for month, jumps in _by_month(jumps_of(timeline), zone) if month <= through
    }
    if not by_month:
        return {}
    restated = {
        month
        for currency in currencies_of(timeline)
        for month in rates.months_of(currency)
        if min(by_month) <= month <= through
    }
    valued = {}
    held: Amounts = {}
    for month in sorted(by_month.keys() | restated):
        jumps = by_month.get(month, [])
        fx = worth(held, rates, month) - worth(held, rates, month.previous)
        tally = _valued_tally(jumps, rates, month)
        held = jumps[-1].after if jumps else held
        if fx or tally != EMPTY:
            valued[month] = Valued(fx, tally)
    return valued


def net_view(
    start: Fraction, end: Fraction, *, paid_before: bool, pays_after: bool, first: bool
) -> tuple[Sums, Counts]:
    """The one class of an account and month by its two ends (P18); none where they are equal.

    `first`: it had never paid before the month, so that coming is new and not a return (P14).
    """
    if not (paid_before or pays_after):
        return {}, {}
    if start == end and paid_before == pays_after:
        return {}, {}
    kind = kind_of(paid_before=paid_before, pays_after=pays_after, first=first, change=end - start)
    return {kind: end - start}, ({kind: 1} if kind in COUNTED else {})


def _by_month(all_jumps: Iterable[Jump], zone: str) -> Iterator[tuple[Month, list[Jump]]]:
    for month, jumps in groupby(all_jumps, key=lambda jump: month_at(jump.at, zone)):
        yield month, list(jumps)


def _native_move(jump: Jump, currency: str) -> tuple[Kind, Fraction]:
    change = jump.after.get(currency, NOTHING) - jump.before.get(currency, NOTHING)
    kind = kind_of(
        paid_before=bool(jump.before),
        pays_after=bool(jump.after),
        first=jump.first,
        change=change,
    )
    return kind, change


def _valued_tally(jumps: list[Jump], rates: Rates, month: Month) -> Tally:
    if not jumps:
        return EMPTY
    moved = (movement_of(jump, rates, month) for jump in jumps)
    gross = _gross((move.kind, move.amount) for move in moved if move is not None)
    net, customers = net_view(
        worth(jumps[0].before, rates, month),
        worth(jumps[-1].after, rates, month),
        paid_before=bool(jumps[0].before),
        pays_after=bool(jumps[-1].after),
        first=jumps[0].first,
    )
    return Tally(net, gross, customers)


def _gross(moved: Iterable[tuple[Kind, Fraction]]) -> Sums:
    sums: dict[Kind, Fraction] = {}
    for kind, amount in moved:
        sums[kind] = sums[kind] + amount if kind in sums else amount
    return sums


def _added(sums: Sums, others: Sums) -> Sums:
    added = dict(sums)
    for kind, amount in others.items():
        total = added.get(kind, NOTHING) + amount
        if total:
            added[kind] = total
        else:
            added.pop(kind, None)
    return added
