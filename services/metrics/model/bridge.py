"""The bridge from one MRR to another, by lever, down to accounts (J30).

Both ends are read per account, as windows are: a lever is what an account did over the whole span.
Retention can be raised by more expansion, or by less contraction and churn; each lever says how
many points of NDR it gave or took.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from services.metrics.model.calendar import Month
from services.metrics.model.money import NOTHING, ONE, Amounts, Rates, share, worth
from services.metrics.model.movements import KINDS, Kind
from services.metrics.model.tally import net_view

RETAINING = (Kind.EXPANSION, Kind.CONTRACTION, Kind.CHURN)  # the levers of NDR


class Span(NamedTuple):
    """An account over a span: what it was worth before and at the end; `first`: it had never paid
    before the span.
    """

    start: Amounts
    end: Amounts
    first: bool


@dataclass(frozen=True, kw_only=True)
class Lever:
    """What one kind of movement did. `ndr` is its share of the base, None for what is no lever of
    retention; `accounts` are those behind it, the largest first.
    """

    kind: Kind
    amount: Fraction
    ndr: Fraction | None
    accounts: tuple[tuple[str, Fraction], ...]


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """mrr_start + fx + the levers = mrr_end; 1 + the levers' `ndr` = ndr of the window."""

    mrr_start: Fraction
    fx: Fraction
    levers: tuple[Lever, ...]
    mrr_end: Fraction
    ndr: Fraction | None


def bridge_of(accounts: Mapping[str, Span], rates: Rates, first: Month, last: Month) -> Bridge:
    """The bridge from the start of `first` to the end of `last`.

    The opening balance stands at the rate of the month before `first`, and is revalued at that of
    `last`, at which every lever is read (P16).
    """
    start = sum((worth(each.start, rates, first.previous) for each in accounts.values()), NOTHING)
    base = sum((worth(each.start, rates, last) for each in accounts.values()), NOTHING)
    end = sum((worth(each.end, rates, last) for each in accounts.values()), NOTHING)
    moved: dict[Kind, dict[str, Fraction]] = {kind: {} for kind in KINDS}
    for account, span in accounts.items():
        net, _ = net_view(
            worth(span.start, rates, last),
            worth(span.end, rates, last),
            paid_before=bool(span.start),
            pays_after=bool(span.end),
            first=span.first,
        )
        for kind, amount in net.items():
            moved[kind][account] = amount
    levers = tuple(_lever(kind, by_account, base) for kind, by_account in moved.items())
    kept = sum((lever.amount for lever in levers if lever.kind in RETAINING), base)
    return Bridge(
        mrr_start=start, fx=base - start, levers=levers, mrr_end=end, ndr=share(kept, base)
    )


def gap_to(target: Fraction, bridge: Bridge) -> Fraction | None:
    """How many points of NDR are missing to `target` (J29), 0.05 for five; negative beyond it."""
    return None if bridge.ndr is None else target - bridge.ndr


def without_losses(bridge: Bridge) -> Fraction | None:
    """What NDR would be without contraction and churn: how far that lever could go (J30)."""
    gained = [lever.ndr for lever in bridge.levers if lever.kind is Kind.EXPANSION]
    return None if gained[0] is None else ONE + gained[0]


def _lever(kind: Kind, by_account: Mapping[str, Fraction], base: Fraction) -> Lever:
    amount = sum(by_account.values(), NOTHING)
    largest = sorted(by_account.items(), key=lambda of: (-abs(of[1]), of[0]))
    return Lever(
        kind=kind,
        amount=amount,
        ndr=share(amount, base) if kind in RETAINING else None,
        accounts=tuple(largest),
    )
