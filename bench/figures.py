"""Rounds of measurements, and what is claimed of them: medians, spread, ratios in a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One run of one form: how many events it did with how much processor time."""

    events: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def rate(self) -> float:
        """Events per CPU-second."""
        return self.events / self.cpu_seconds


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and the least and the greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one value or more."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One case, measured in several forms, each once in every round; the first is the baseline."""

    title: str
    rounds: Sequence[Mapping[str, Measure]]

    @property
    def forms(self) -> Sequence[str]:
        """In the order in which they were measured."""
        return list(self.rounds[0])

    def rate(self, form: str) -> Spread:
        """Events per CPU-second."""
        return Spread.of([measured[form].rate for measured in self.rounds])

    def ratio(self, form: str) -> Spread:
        """How many times the baseline's rate in the same round."""
        return self.ratio_to(self.forms[0], form)

    def ratio_to(self, baseline: str, form: str) -> Spread:
        """How many times the rate of `baseline` in the same round."""
        return Spread.of(
            [measured[form].rate / measured[baseline].rate for measured in self.rounds]
        )

    def wall_rate(self, form: str) -> Spread:
        """Events per second of the wall clock: noisy on a machine that does other work."""
        return Spread.of(
            [measured[form].events / measured[form].wall_seconds for measured in self.rounds]
        )


def show(console: Console, heading: str, comparisons: Sequence[Comparison]) -> None:
    """Print one table: a line for each case and form."""
    rounds = len(comparisons[0].rounds)
    table = Table(title=f"{heading} (median of {rounds} rounds, least-most)", title_justify="left")
    for column in ("case", "form", "events per CPU-second", "times the baseline", "events/s wall"):
        table.add_column(column, justify="left" if column in {"case", "form"} else "right")
    for comparison in comparisons:
        for form in comparison.forms:
            is_baseline = form == comparison.forms[0]
            table.add_row(
                comparison.title if is_baseline else "",
                form,
                _thousands(comparison.rate(form)),
                "1 (baseline)" if is_baseline else _times(comparison.ratio(form)),
                f"{comparison.wall_rate(form).median:,.0f}",
            )
        table.add_section()
    console.print(table)


def as_json(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """All figures, and every round that they were made of."""
    return [
        {
            "case": comparison.title,
            "baseline": comparison.forms[0],
            "forms": {form: _form_as_json(comparison, form) for form in comparison.forms},
        }
        for comparison in comparisons
    ]


def _form_as_json(comparison: Comparison, form: str) -> dict[str, Any]:
    return {
        "events_per_cpu_second": _spread_as_json(comparison.rate(form)),
        "ratio_to_baseline": _spread_as_json(comparison.ratio(form)),
        "events_per_wall_second": _spread_as_json(comparison.wall_rate(form)),
        "rounds": [
            {
                "events": measured[form].events,
                "cpu_seconds": round(measured[form].cpu_seconds, 3),
                "wall_seconds": round(measured[form].wall_seconds, 3),
            }
            for measured in comparison.rounds
        ],
    }


def _spread_as_json(spread: Spread) -> dict[str, float]:
    return {
        "median": round(spread.median, 2),
        "least": round(spread.low, 2),
        "most": round(spread.high, 2),
    }


def _thousands(spread: Spread) -> str:
    return f"{spread.median:,.0f} ({spread.low:,.0f}-{spread.high:,.0f})"


def _times(spread: Spread) -> str:
    digits = 1 if spread.median >= 1 else 2
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f}-{spread.high:.{digits}f})"
