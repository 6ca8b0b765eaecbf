"""The table of what was tried: row, what fired, what held, seconds to heal, control, seed."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from deploy.local.jars import locked_jars
from deploy.local.postgres.programs import find_programs
from tests.faults.trial import Result

HEAD = """# Faults: what was tried, and what came of it

Written by `make faults`; how a row works stands in `tests/faults/README.md`. R is the oracle:
R1 to R6, R8 and R10. A control runs the same fault without a protection, and the oracle has to
go red. A row that this machine cannot run says so, and counts as nothing. Rows that a later run
did not try stay, with their time.

"""
COLUMNS = (
    "row", "form", "fault", "outcome", "fired", "held", "acknowledged", "unknown",
    "heals in, s", "bound, s", "control", "seed", "tried, UTC",
)  # fmt: skip
Key = tuple[int, str]


def write(results: Sequence[Result], file: Path) -> None:
    """Write the table in the order of the rows: these results, and what stood there of others."""
    tried_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    lines = _lines_of(file) | {
        (result.row.number, str(result.form)): _line([*_cells(result), tried_at])
        for result in results
    }
    table = [_line(COLUMNS), _line("---" for _ in COLUMNS), *(lines[key] for key in sorted(lines))]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{HEAD}{_machine()}\n" + "\n".join(table) + "\n")


def _lines_of(file: Path) -> dict[Key, str]:
    """The rows that a table has now."""
    text = file.read_text() if file.exists() else ""
    cells = [(line, line.strip("| ").split(" | ")) for line in text.splitlines()]
    return {(int(words[0]), words[1]): line for line, words in cells if words[0].isdigit()}


def _machine() -> str:
    kafka = next(jar.version for jar in locked_jars() if jar.artifact == "kafka-clients")
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiokafka", "asyncpg", "fastapi"))
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"Latest run on: Kafka {kafka} (3 brokers, RF 3, min.insync 2, and a controller),"
        f" PostgreSQL {find_programs().major} (fsync on), Python {platform.python_version()},"
        f" {packages}; {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}.\n"
    )


def _cells(result: Result) -> Sequence[str]:
    fired = ", ".join(f"{name.replace('_', ' ')} {n:g}" for name, n in result.fired.items())
    outcome = f"{result.outcome}: {result.reason}" if result.reason else result.outcome
    return (
        str(result.row.number),
        result.form,
        f"{result.row.title} ({result.row.how})",
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
