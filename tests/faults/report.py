"""The table of what was tried: row, what fired, what held, seconds to heal, control, seed."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.faults.trial import Result

HEAD = """# Faults: what was tried, and what came of it

Written by `make faults`; how a row works stands in `tests/faults/README.md`. R is the oracle:
R1 to R6, R8 and R10. A control runs the same fault without a protection, and the oracle has to
go red. A row that this machine cannot run says so, and counts as nothing.

"""
COLUMNS = (
    "row", "fault", "form", "outcome", "fired", "held", "acknowledged", "unknown",
    "heals in, s", "bound, s", "control", "seed",
)  # fmt: skip


def write(results: Sequence[Result], file: Path) -> None:
    """Write the table, rows in their order."""
    file.write_text(HEAD + _machine() + "\n" + _table(results))


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiokafka", "asyncpg", "fastapi"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Kafka 4.1.0 (3 brokers, RF 3, min.insync 2, and a"
        f" controller), PostgreSQL 18 (fsync on), Python {platform.python_version()}, {packages};"
        f" {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}.\n"
    )


def _table(results: Sequence[Result]) -> str:
    ordered = sorted(results, key=lambda result: (result.row.number, result.form))
    lines = [_line(COLUMNS), _line("---" for _ in COLUMNS), *map(_line, map(_cells, ordered))]
    return "\n".join(lines) + "\n"


def _cells(result: Result) -> Sequence[str]:
    fired = ", ".join(f"{name.replace('_', ' ')} {n:g}" for name, n in result.fired.items())
    outcome = f"{result.outcome}: {result.reason}" if result.reason else result.outcome
    return (
        str(result.row.number),
        f"{result.row.title} ({result.row.how})",
        result.form,
        outcome,
        fired or "-",
        "; ".join(result.held) or "-",
        str(result.acknowledged or "-"),
        str(result.unknown),
        "-" if result.heal_seconds is None else f"{result.heal_seconds:g}",
        f"{result.row.heals_within_seconds:g}",
        "; ".join(result.controls) or "-",
        result.seed,
    )


def _line(cells: Iterable[str]) -> str:
    words = (cell.replace("|", "/").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(words)} |"
