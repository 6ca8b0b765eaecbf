"""`.local/env`: every address and key of the running stack, for shells and programs.

Lines of `KEY=value` whose values need no quoting, so that `set -a; . .local/env` and
`docker run --env-file` both read it.
"""

import re
from collections.abc import Mapping

from deploy.local import layout
from deploy.local.errors import StackError

PLAIN = re.compile(r"[A-Za-z0-9_./:@,+-]*")


def written() -> dict[str, str]:
    """What the file says; empty when no stack was brought up here."""
    if not layout.ENVIRONMENT_FILE.exists():
        return {}
    lines = layout.ENVIRONMENT_FILE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write(variables: Mapping[str, str]) -> None:
    """Replace the file, readable by its owner alone."""
    for name, value in variables.items():
        if not PLAIN.fullmatch(value):
            raise StackError(f"{name} has characters that a shell would need quoted")
    draft = layout.ENVIRONMENT_FILE.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    draft.replace(layout.ENVIRONMENT_FILE)
