"""Cadence: what messages cost, from the plan to the provider."""

from collections.abc import Callable

from bench import handover, planning
from bench.figures import Comparison


def compare(*, rounds: int, quick: bool, tell: Callable[[str], None]) -> list[Comparison]:
    """Every part of the road. Raises NotMeasurable."""
    people = planning.QUICK if quick else planning.FULL
    letters = handover.QUICK if quick else handover.FULL
    return [
        *planning.compare(rounds=rounds, people=people, tell=tell),
        *handover.compare(rounds=rounds, letters=letters, tell=tell),
    ]
