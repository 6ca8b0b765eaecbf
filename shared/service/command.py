"""The command line of a service: `python -m services.<name> VERB`."""

import argparse
import asyncio
import sys
from collections.abc import Callable

import structlog
import uvloop
from pydantic import ValidationError

from shared import telemetry
from shared.service import letters, rebuilding
from shared.service.running import run
from shared.service.value import Role, Service

log = structlog.get_logger()


def main(build: Callable[[], Service]) -> None:
    """The command line of a service. Exits 2 with one clear line when settings are missing."""
    parser = argparse.ArgumentParser(description="Run or prepare one service of Mainstay.")
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="serve, consume, relay and run jobs")
    run_command.add_argument(
        "--roles",
        type=_roles,
        default=frozenset(Role),
        help="what this process does, separated by commas (default: all)",
    )
    commands.add_parser("migrate", help="bring the service's own schema up to date")
    letters.add_verbs(commands)
    rebuilding.add_command(commands)
    arguments = parser.parse_args()
    if fault := letters.check(arguments):
        parser.error(fault)
    try:
        service = build()
    except ValidationError as error:
        sys.exit(_settings_fault(error))
    telemetry.configure_logging(service.name, service.settings.log_level)
    match arguments.command:
        case "migrate":
            asyncio.run(_migrate(service))
        case "dead-letters" | "redrive" | "discard":
            sys.exit(asyncio.run(letters.run_verb(service, arguments)))
        case "rebuild":
            sys.exit(rebuilding.run_rebuild(service, arguments))
        case _:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                sys.exit(runner.run(run(service, arguments.roles)))


def _roles(text: str) -> frozenset[Role]:
    """Roles from `api,consumer`. Raises ArgumentTypeError for a word that is no role."""
    try:
        return frozenset(map(Role, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; roles are {', '.join(Role)}") from error


def _settings_fault(error: ValidationError) -> str:
    """One line that names each setting at fault, never its value: it may be a secret."""
    faults = "; ".join(
        f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
        for found in error.errors(include_input=False)
    )
    return f"settings: {faults}"


async def _migrate(service: Service) -> None:
    if service.database is None or service.migrations is None:
        log.info("nothing_to_migrate")
        return
    # Here, not on top: Alembic is an eighth of every start, and only this command needs it.
    from shared.migrate import migrate  # noqa: PLC0415

    await migrate(
        service.database.engine.url.render_as_string(hide_password=False),
        schema=service.database.schema,
        directory=service.migrations,
    )
    log.info("migrated")
