"""`python -m importer`: the command line of the importer.

Exit status: 0 all accepted, 1 some rows rejected, 2 usage, unreadable, refused or unreachable,
130 interrupted.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from importer.batches import Entry
from importer.errors import ImportFault, Unreadable, Usage
from importer.history import Finished, Plan, checked_mapping, entries, import_file
from importer.ledger import Rejected
from importer.mapping import ColumnMapping, Kind, TimeUnit, parse_assignments
from importer.progress import view
from importer.source import Format, Source

SHOWN_EVENTS = 3
DRY_RUN_ROWS = 1_000
SHOWN_PROBLEMS = 10

EXAMPLES = """\
examples:
  python -m importer usage.csv.gz --map time=ts --map account=org --map user=seat \\
      --map event=action --map feature=screen --map properties.files=n
  python -m importer accounts.csv --kind group --map account=id --map user=admin \\
      --map traits.plan=plan
  python -m importer usage.ndjson --map time=at --map user=actor.id --set event=Login --dry-run

The key: --key-file, else the environment variable WRITE_KEY. The address: --url, else INGEST_URL.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.dry_run:
            return _dry_run(options)
        return asyncio.run(_import_all(options))
    except ImportFault as fault:
        print(f"importer: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("importer: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m importer",
        description="Send history from CSV or NDJSON files (plain or .gz) to Mainstay.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--url", default=os.environ.get("INGEST_URL"), help="address of ingest")
    parser.add_argument("--key-file", type=Path, help="file that holds a write or manage key")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="TARGET=COLUMN",
        help="time, account, user, anonymous, event, feature, name, category, properties.<key> or"
        " traits.<key> from a column; one of the same name is taken by itself",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TARGET=VALUE",
        help="the same value in every row",
    )
    parser.add_argument("--format", type=Format, choices=list(Format), help="default: by name")
    parser.add_argument(
        "--kind", type=Kind, choices=list(Kind), default=Kind.TRACK, help="what a row says"
    )
    parser.add_argument(
        "--time-unit",
        type=TimeUnit,
        choices=list(TimeUnit),
        default=TimeUnit.AUTO,
        help="default: found out for each value",
    )
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", help="where state and rejects lie (beside FILE)"
    )
    parser.add_argument(
        "--requests", type=_requests, default=4, help="requests under way at once (1 to 32)"
    )
    parser.add_argument(
        "--give-up-after",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="without any answer from the edge (300)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show the first events and problems, send nothing"
    )
    return parser


def _requests(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 32:  # noqa: PLR2004
        raise argparse.ArgumentTypeError("1 to 32")
    return number


def _mapping(options: argparse.Namespace) -> ColumnMapping:
    columns, constants = parse_assignments(options.map), parse_assignments(options.set)
    if both := sorted(columns.keys() & constants.keys()):
        raise Usage(f"{both[0]} is both mapped and set")
    return ColumnMapping(
        kind=options.kind, time_unit=options.time_unit, columns=columns, constants=constants
    )


def _plan(options: argparse.Namespace) -> Plan:
    if not options.url:
        raise Usage("say where ingest is: --url, or INGEST_URL in the environment")
    if urlsplit(options.url).scheme not in ("http", "https"):
        raise Usage(f"--url {options.url!r} is no http address")
    return Plan(
        url=options.url,
        key=_key(options.key_file),
        mapping=_mapping(options),
        format=options.format,
        state_folder=options.state,
        requests=options.requests,
        give_up_seconds=options.give_up_after,
    )


def _key(file: Path | None) -> str:
    try:
        key = os.environ.get("WRITE_KEY", "") if file is None else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"cannot read the key from {file}: {error}") from error
    if not key.strip():
        raise Usage("no key: --key-file, or WRITE_KEY in the environment")
    return key.strip()


async def _import_all(options: argparse.Namespace) -> int:
    plan = _plan(options)
    for path in options.files:
        Source(path, plan.format).close()  # all readable before the first is sent
    status = 0
    for path in options.files:
        with view(path.name) as progress:
            finished = await import_file(path, plan, progress)
        print(_summary(path, finished))
        status = max(status, 1 if finished.totals.rejected else 0)
    return status


def _summary(path: Path, finished: Finished) -> str:
    totals = finished.totals
    line = (
        f"{path.name}: sent {totals.sent:,}, accepted {totals.accepted:,},"
        f" duplicates {totals.duplicates:,}, rejected {totals.rejected:,},"
        f" {finished.seconds:.1f} s, {finished.events_per_second:,.0f} events/s"
    )
    return f"{line}; rejects in {finished.rejects}" if finished.rejects else line


def _dry_run(options: argparse.Namespace) -> int:
    """Show what the first rows become; 1 where some of them would be rejected."""
    problems = 0
    for path in options.files:
        with Source(path, options.format) as source:
            mapping = checked_mapping(source, _mapping(options))
            first = list(islice(entries(source, mapping), DRY_RUN_ROWS))
        if not first:
            raise Unreadable(f"{path} has no rows")
        problems += _show_dry_run(path, first, mapping)
    return 1 if problems else 0


def _show_dry_run(
    path: Path, first: Sequence[tuple[str | int, Entry | Rejected]], mapping: ColumnMapping
) -> int:
    mapped = [found for _, found in first if isinstance(found, Entry)]
    rejected = [found for _, found in first if isinstance(found, Rejected)]
    columns = ", ".join(f"{target} from {column}" for target, column in mapping.columns.items())
    print(f"{path.name}: {mapping.kind} with {columns or 'no column'}")
    for entry in mapped[:SHOWN_EVENTS]:
        print(msgspec.json.format(entry.body, indent=2).decode())
    print(f"of the first {len(first):,} rows {len(rejected):,} would be rejected")
    for rejection in rejected[:SHOWN_PROBLEMS]:
        print(f"  line {rejection.line}: {rejection.code}: {rejection.message}")
    return len(rejected)


if __name__ == "__main__":
    sys.exit(main())
