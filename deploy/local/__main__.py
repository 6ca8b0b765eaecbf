"""`python -m deploy.local up|down|status|logs|reset|prepare`: what the Makefile calls."""

import argparse
import logging
import sys
from collections.abc import Callable

from deploy.local import servers, stack, status
from deploy.local.errors import StackError
from deploy.local.progress import say
from deploy.local.services import named

VERBS: dict[str, Callable[[], object]] = {
    "up": stack.up,
    "down": stack.down,
    "status": status.status,
    "reset": stack.reset,
    "prepare": servers.prepare,
}
INTERRUPTED = 130


def main() -> int:
    """Run one verb; the exit status. A failure is one clear line on stderr."""
    arguments = _arguments()
    # Its lines about brokers that do not answer yet would be taken for errors.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        if arguments.verb == "logs":
            status.logs(named(arguments.service).name if arguments.service else None)
        else:
            VERBS[arguments.verb]()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted; `make up` goes on from here, `make down` stops everything")
        return INTERRUPTED
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=stack.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, action in VERBS.items():
        verbs.add_parser(verb, help=(action.__doc__ or "").splitlines()[0])
    logs = verbs.add_parser("logs", help=(status.logs.__doc__ or "").splitlines()[0])
    logs.add_argument("service", nargs="?", help="one service; default: all, and the servers")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
