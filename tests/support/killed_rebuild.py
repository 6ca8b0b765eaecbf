"""`python -m tests.support.killed_rebuild SERVICE MOMENT`: a rebuild that dies at that moment.

By SIGKILL, as a machine's death or the out-of-memory killer would have it: nothing is tidied up.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any
from unittest.mock import patch

# After which call it dies, by a word for the moment.
MOMENTS = {
    "prepared": "shared.service.rebuild.carrying.foresee_decisions",
    "folding": "shared.service.rebuild.replay.Replay.forget",
    "compared": "shared.service.rebuild.conduct.compare",
    "locked": "shared.service.rebuild.swap.stop_writers",
    "renamed": "shared.service.rebuild.swap.swap",
}


def dying_after(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, and then nothing any more."""

    async def last(*arguments: Any, **named: Any) -> None:
        await call(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return last


def original(path: str) -> Callable[..., Any]:
    """What stands at `path`: a function of a module, or of a class in it."""
    owner, _, name = path.rpartition(".")
    try:
        found: Any = import_module(owner)
    except ModuleNotFoundError:
        module, _, kind = owner.rpartition(".")
        found = getattr(import_module(module), kind)
    call: Callable[..., Any] = getattr(found, name)
    return call


if __name__ == "__main__":
    service, moment = sys.argv[1:]
    sys.argv[1:] = ["rebuild"]
    path = MOMENTS[moment]
    with patch(path, dying_after(original(path))):
        entry = import_module(f"services.{service}.__main__")
        entry.main(entry.build)
