"""`.local/env`: every address and key of the running stack, for shells and programs.

Lines of `KEY=value` whose values need no quoting, so that `set -a; . .local/env` and
`docker run --env-file` both read it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from deploy.local.contents import ROOT
from deploy.local.errors import StackError

HOME = ROOT / ".local"
FILE = HOME / "env"
PLAIN = re.compile(r"[A-Za-z0-9_./:@,+-]*")


def written() -> dict[str, str]:
    """What the file says; empty when no stack was brought up here."""
    if not FILE.exists():
        return {}
    lines = [line for line in FILE.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def write(variables: Mapping[str, str]) -> None:
    """Replace the file, readable by its owner alone."""
    for name, value in variables.items():
        if not PLAIN.fullmatch(value):
            raise StackError(f"{name} has characters that would need quoting in {FILE}")
    draft = FILE.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    draft.replace(FILE)
