"""The verbs of a service's command line that look at dead letters and decide about them."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.bus import tables
from shared.bus.redrive import Redriver, uuid_of
from shared.bus.tables import Filters, LetterState, Place
from shared.bus.verdicts import Outcome, Verdict
from shared.clock import format_instant, parse_instant
from shared.db import Database
from shared.errors import MainstayError
from shared.service.value import Service

AT_ONCE = 100  # letters in one run of the redriver
IDS_AT_ONCE = 500
LISTED = 100
MESSAGE_WIDTH = 80  # characters of a message in a table
USAGE = 2  # exit status of a command that says too little or contradicts itself
DONE = (Outcome.APPLIED, Outcome.DUPLICATE)


def add_verbs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The verbs `dead-letters`, `redrive` and `discard`."""
    listing = commands.add_parser("dead-letters", help="list what this service gave up on")
    _add_filters(listing)
    listing.add_argument(
        "--state", choices=[*LetterState, "all"], default="open", help="default: open"
    )
    listing.add_argument(
        "--limit", metavar="N", type=_positive, default=LISTED, help=f"default: {LISTED}"
    )

    redriving = commands.add_parser("redrive", help="apply dead letters after all")
    redriving.add_argument("ids", nargs="*", metavar="ID", help="as `dead-letters` shows it")
    _add_filters(redriving)
    redriving.add_argument("--all", action="store_true", help="all that are open")
    redriving.add_argument(
        "--limit", metavar="N", type=_positive, help="most letters (default: no bound)"
    )
    redriving.add_argument(
        "--dry-run", action="store_true", help="only say what would happen; writes nothing"
    )
    redriving.add_argument("--by", metavar="NAME", help="your name, for the audit")

    discarding = commands.add_parser("discard", help="decide that a record shall never apply")
    discarding.add_argument("id", metavar="ID", help="as `dead-letters` shows it")
    discarding.add_argument("--by", metavar="NAME", required=True, help="your name, for the audit")
    discarding.add_argument("--reason", metavar="WORDS", required=True, help="why, for the audit")


def _add_filters(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--code", metavar="CODE", help="only of this reason")
    verb.add_argument("--lane", help="only of this lane")
    verb.add_argument("--type", dest="event_type", metavar="TYPE", help="only of this event type")
    verb.add_argument(
        "--from", dest="since", metavar="TIME", type=_instant, help="given up at or after, RFC 3339"
    )
    verb.add_argument(
        "--to", dest="until", metavar="TIME", type=_instant, help="given up before, RFC 3339"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: write 2026-03-01T00:00:00Z") from error


def check(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments of a verb as a whole, in one sentence; None if nothing."""
    return next(_redrive_faults(arguments), None) if arguments.command == "redrive" else None


def _redrive_faults(arguments: argparse.Namespace) -> Iterator[str]:
    chosen = _filters(arguments) != Filters()
    if not arguments.dry_run and not arguments.by:
        yield "redrive: say --by NAME, for the audit (or --dry-run)"
    if arguments.ids and (chosen or arguments.all):
        yield "redrive: name letters by id or by --code, --lane, --type, --from, --to, not by both"
    if chosen and arguments.all:
        yield "redrive: --all leaves nothing to filter"
    if not (arguments.ids or chosen or arguments.all):
        yield "redrive: say which: ids, --code, --lane, --type, --from, --to, or --all"
    if len(arguments.ids) > IDS_AT_ONCE:
        yield f"redrive: {len(arguments.ids)} ids, {IDS_AT_ONCE} at most"
    yield from (
        f"redrive: {given!r} is no id of a dead letter"
        for given in arguments.ids
        if uuid_of(given) is None
    )


def _filters(arguments: argparse.Namespace) -> Filters:
    return Filters(
        code=arguments.code,
        lane=arguments.lane,
        event_type=arguments.event_type,
        since=arguments.since,
        until=arguments.until,
    )


async def run_verb(service: Service, arguments: argparse.Namespace) -> int:
    """Do what the verb says; the exit status: 0 done, 1 something stays broken or was refused."""
    if service.database is None or not service.lanes:
        sys.stderr.write(f"{service.name} keeps no dead letters\n")
        return USAGE
    try:
        match arguments.command:
            case "dead-letters":
                return await _list(service.database, arguments)
            case "discard":
                redriver = _redriver(service, service.database, arguments.by)
                await redriver.discard(arguments.id, why=arguments.reason)
                sys.stdout.write(f"discarded {arguments.id}\n")
                return 0
            case _:
                return await _redrive(service, service.database, arguments)
    except MainstayError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return 1
    finally:
        await service.database.close()


def _redriver(service: Service, database: Database, by: str) -> Redriver:
    return Redriver(
        service=service.name, lanes=service.lanes, database=database, workspace=None, by=by
    )


async def _redrive(service: Service, database: Database, arguments: argparse.Namespace) -> int:
    redriver = _redriver(service, database, arguments.by or "")
    if arguments.ids:
        ids = list(dict.fromkeys(arguments.ids))
        act = redriver.rehearse_all if arguments.dry_run else redriver.redrive_all
        verdicts = await act(ids)
        _tell(verdicts)
    else:
        verdicts = await _redrive_open(redriver, arguments)
    sys.stdout.write(f"{_summary(verdicts)}{' (dry run)' if arguments.dry_run else ''}\n")
    return 0 if all(verdict.outcome in DONE for verdict in verdicts) else 1


async def _redrive_open(redriver: Redriver, arguments: argparse.Namespace) -> list[Verdict]:
    """Run after run until none is left that is meant, or `--limit` is reached."""
    act = redriver.rehearse_open if arguments.dry_run else redriver.redrive_open
    verdicts: list[Verdict] = []
    after: Place | None = None
    while True:
        left = AT_ONCE if arguments.limit is None else arguments.limit - len(verdicts)
        run = await act(_filters(arguments), after=after, limit=min(AT_ONCE, left))
        _tell(run.verdicts)
        verdicts += run.verdicts
        after = run.after
        if after is None or len(verdicts) == arguments.limit:
            return verdicts


async def _list(database: Database, arguments: argparse.Namespace) -> int:
    state = None if arguments.state == "all" else LetterState(arguments.state)
    async with database.transaction() as tx:
        found = await tables.list_dead_letters(
            tx,
            None,
            replace(_filters(arguments), state=state),
            after=None,
            limit=arguments.limit + 1,
            shown_bytes=0,
        )
    rows = [_row(letter) for letter in found[: arguments.limit]]
    sys.stdout.writelines(f"{line}\n" for line in table([HEADINGS, *rows]))
    if len(found) > arguments.limit:
        sys.stdout.write(f"... more: raise --limit ({arguments.limit}) or filter\n")
    return 0


HEADINGS = ("ID", "GIVEN UP", "STATE", "LANE", "PLACE", "WORKSPACE", "TYPE", "CODE", "MESSAGE")


def _row(letter: Any) -> tuple[str, ...]:
    return (
        str(letter.id),
        format_instant(letter.dead_at.replace(microsecond=0)),
        tables.state_of(letter),
        letter.lane,
        f"{letter.topic}/{letter.part}/{letter.offset}",
        printable(letter.workspace or "-"),
        printable(letter.event_type or "-"),
        letter.code,
        printable(letter.message)[:MESSAGE_WIDTH],
    )


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Lines with the columns under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def printable(said: str) -> str:
    """`said` in one line, without what a terminal would obey: it may come from anybody."""
    return "".join(sign if sign.isprintable() else " " for sign in said)


def _tell(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        why = printable(f"  {verdict.code}: {verdict.message}") if verdict.code else ""
        sys.stdout.write(f"{verdict.outcome:<12}  {verdict.id}{why}\n")


def _summary(verdicts: Sequence[Verdict]) -> str:
    counted = Counter(verdict.outcome for verdict in verdicts)
    told = [f"{counted[outcome]} {outcome}" for outcome in Outcome if counted[outcome]]
    return ", ".join(told) or "no open dead letter is meant"
