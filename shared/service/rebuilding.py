"""The command `rebuild`: what it is told, what it says, and how it ends."""

import argparse
import asyncio
import sys
from enum import IntEnum
from typing import Any

from sqlalchemy.exc import DBAPIError

from shared.db import is_transient
from shared.errors import MainstayError, TransientError
from shared.service.garbage import look_at_garbage_rarely
from shared.service.rebuild.conduct import Choices, TablesDiffer, rebuild
from shared.service.rebuild.returning import drop_all_retired, return_to
from shared.service.value import Service

DESCRIPTION = """\
Fold the log from its start into a shadow schema while the service runs, compare the shadow with the
live tables, and swap them. Nothing is published meanwhile, and no effect happens again.

A rebuild that is killed leaves the live tables as they were; start it again, with --resume to go on
where it was (with the same code), without to begin anew.

exit status:
  0  done: swapped; with --dry-run: the tables are equal
  1  the tables differ, nothing was swapped
  2  wrong arguments or settings
  3  refused: the line says why
  4  Kafka, the database or a busy service did not let it: try again
130  interrupted

Only the last commit touches the live tables. It copies what no topic tells, and leaves the former
tables for a day in a schema of their own.
"""


class Status(IntEnum):
    """How the command ends."""

    DONE = 0
    DIFFERS = 1
    REFUSED = 3
    TRY_AGAIN = 4
    INTERRUPTED = 130


def add_command(commands: Any) -> None:
    """Teach a parser's sub-commands `rebuild`."""
    command = commands.add_parser(
        "rebuild",
        help="make the tables anew from the log, beside the running service",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--dry-run", action="store_true", help="compare, and swap nothing")
    command.add_argument(
        "--accept-differences",
        action="store_true",
        help="swap also where tables differ: the rules have changed on purpose",
    )
    command.add_argument(
        "--resume", action="store_true", help="go on with the shadow that a killed rebuild left"
    )
    command.add_argument(
        "--from-what-is-left",
        action="store_true",
        help="fold although the first records of a topic are gone",
    )
    instead = command.add_mutually_exclusive_group()
    instead.add_argument(
        "--return-to",
        metavar="SCHEMA",
        help="instead of rebuilding: swap back to the tables that a rebuild has retired",
    )
    instead.add_argument(
        "--drop-retired",
        action="store_true",
        help="instead of rebuilding: drop retired tables now, not when a day has passed",
    )


def run_rebuild(service: Service, arguments: argparse.Namespace) -> Status:
    """Do what `arguments` say; how it ended."""
    look_at_garbage_rarely()
    try:
        return asyncio.run(_rebuilt(service, arguments))
    except KeyboardInterrupt:
        _complain("interrupted: nothing was swapped, unless the lines above say so")
        return Status.INTERRUPTED


async def _rebuilt(service: Service, arguments: argparse.Namespace) -> Status:
    if service.database is None:
        _complain(f"{service.name} keeps no tables")
        return Status.REFUSED
    try:
        await _done(service, arguments)
    except TablesDiffer as error:
        _complain(f"{error.code}: {error.message}")
        return Status.DIFFERS
    except TransientError as error:
        _complain(f"{error.code}: {error.message}")
        return Status.TRY_AGAIN
    except MainstayError as error:
        _complain(f"{error.code}: {error.message}")
        return Status.REFUSED
    except (DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and not is_transient(error):
            raise
        _complain(f"database_unavailable: {getattr(error, 'orig', error)}")
        return Status.TRY_AGAIN
    finally:
        await service.database.close()
    return Status.DONE


async def _done(service: Service, arguments: argparse.Namespace) -> None:
    if arguments.return_to:
        await return_to(service, arguments.return_to, _say)
    elif arguments.drop_retired:
        await drop_all_retired(service, _say)
    else:
        choices = Choices(
            dry_run=arguments.dry_run,
            accept_differences=arguments.accept_differences,
            resume=arguments.resume,
            from_what_is_left=arguments.from_what_is_left,
        )
        await rebuild(service, choices, _say)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(f"rebuild: {line}\n")
