"""Where things are: the checkout, and the stack's own directory inside it (git-ignored)."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Another directory holds another stack; it needs other ports too.
HOME = Path(os.environ.get("STACK_HOME") or ROOT / ".local").resolve()

ENVIRONMENT_FILE = HOME / "env"
CREDENTIALS_FILE = HOME / "credentials.json"
CHOICE_FILE = HOME / "stack.json"
LOCK_FILE = HOME / "lock"
LOGS = HOME / "log"
RECORDS = HOME / "run"
SPILL = HOME / "ingest-spill"  # events that ingest has acknowledged while Kafka was away

# Survives `make reset`: what installs the project.
KEPT_BY_RESET = ("uv",)


def prepare_home() -> None:
    """Create the directories. Others may pass through but not look: PostgreSQL runs as another
    user when we are root, and every secret in here is readable by its owner alone.
    """
    for directory in (HOME, LOGS, RECORDS):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)


def log_of(name: str) -> Path:
    """The log file of a service or server."""
    return LOGS / f"{name}.log"
