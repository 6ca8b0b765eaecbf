"""`python -m bench [WHAT] [--quick] [--json FILE]`: measure what is claimed of it, or of all."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from bench import cadence, consume, ingest, ledger, runtime
from bench.figures import Comparison, as_json, show
from bench.machine import facts
from bench.running import NotMeasurable
from deploy.local.errors import StackError

ROUNDS = 5
QUICK_ROUNDS = 2
SECONDS = 4.0  # of load in each run
QUICK_SECONDS = 1.0

console = Console(width=None if sys.stdout.isatty() else 140)


def tell(line: str) -> None:
    """One line of progress, apart from the figures."""
    print(f"  {line}", file=sys.stderr, flush=True)


def measure_ingest(*, quick: bool) -> Sequence[Comparison]:
    """The edge at every size of request."""
    return ingest.compare(
        rounds=QUICK_ROUNDS if quick else ROUNDS,
        seconds=QUICK_SECONDS if quick else SECONDS,
        tell=tell,
    )


def measure_consume(*, quick: bool) -> Sequence[Comparison]:
    """The consumer on every shape of use."""
    return consume.compare(
        rounds=QUICK_ROUNDS if quick else ROUNDS,
        sizes=consume.QUICK if quick else consume.FULL,
        tell=tell,
    )


def measure_runtime(*, quick: bool) -> Sequence[Comparison]:
    """The runtime with the smallest fold, against the least that could be done."""
    return runtime.compare(
        rounds=QUICK_ROUNDS if quick else ROUNDS,
        events=runtime.QUICK_EVENTS if quick else runtime.EVENTS,
        tell=tell,
    )


def measure_ledger(*, quick: bool) -> Sequence[Comparison]:
    """The revenue ledger: what a report, a fact, a late fact and a rebuild cost."""
    return ledger.compare(
        rounds=QUICK_ROUNDS if quick else ROUNDS,
        sizes=ledger.QUICK if quick else ledger.FULL,
        tell=tell,
    )


def measure_cadence(*, quick: bool) -> Sequence[Comparison]:
    """Messages: the plan, the choice of what is due, the hand-over."""
    return cadence.compare(rounds=QUICK_ROUNDS if quick else ROUNDS, quick=quick, tell=tell)


MEASURES: dict[str, tuple[str, Callable[..., Sequence[Comparison]]]] = {
    "ingest": ("Ingest: the edge's processor", measure_ingest),
    "consume": ("Consume: from Kafka to committed rollups", measure_consume),
    "cadence": ("Cadence: messages from plan to provider", measure_cadence),
    "ledger": ("Ledger: reports, facts, late facts, a rebuild", measure_ledger),
    "runtime": ("Runtime: what exactly once costs", measure_runtime),
}


def main() -> None:
    """Measure, print tables, and write the figures where asked. Exits 1 where none can be had."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=MEASURES, help="one of them (default: all)")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that all works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    arguments = parser.parse_args()
    # So that a `kill` too leaves no server behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # A client's retries at a broker that has just begun are no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    machine = facts()
    for name, fact in machine.items():
        console.print(f"{name:>12}: {fact}", highlight=False)
    measured: dict[str, object] = {}
    try:
        for name in [arguments.what] if arguments.what else MEASURES:
            heading, measure = MEASURES[name]
            comparisons = measure(quick=arguments.quick)
            show(console, heading, comparisons)
            measured[name] = as_json(comparisons)
    except (NotMeasurable, StackError) as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        report = {"at": datetime.now(UTC), "machine": machine, "measured": measured}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


if __name__ == "__main__":
    main()
