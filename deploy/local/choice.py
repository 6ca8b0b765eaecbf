"""Where Kafka and PostgreSQL come from, decided once, for `make up` and for tests alike.

1. Addresses in the environment: used, and never started, stopped or wiped.
2. A Docker engine that answers: containers.
3. Native processes of this machine.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from deploy.local import environment, layout
from deploy.local.errors import StackError
from deploy.local.services import WITH_DATABASE

DOCKER_ANSWER_SECONDS = 2.0
VARIABLES = ("KAFKA_BOOTSTRAP", *[service.database_variable for service in WITH_DATABASE])


class Form(StrEnum):
    """The three forms, in order of preference."""

    ENVIRONMENT = "environment"
    DOCKER = "docker"
    NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Choice:
    """A form and why it was chosen. `addresses` is empty but for the form `environment`."""

    form: Form
    reason: str
    addresses: Mapping[str, str]

    def __str__(self) -> str:
        return f"Kafka and PostgreSQL: {self.form} ({self.reason})"


def choose(own: Mapping[str, str]) -> Choice:
    """The form for this machine and environment.

    `own`: the addresses of our own servers. A shell that has read `.local/env` carries them, and
    they must not be mistaken for somebody else's.
    Raises `StackError` when the environment names some of the addresses only.
    """
    given = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    if given and any(own.get(name) != address for name, address in given.items()):
        return Choice(Form.ENVIRONMENT, "addresses in the environment", _complete(given))
    if _docker_answers():
        return Choice(Form.DOCKER, "a Docker engine answers", {})
    return Choice(Form.NATIVE, "no addresses in the environment, no Docker engine answers", {})


def own_addresses() -> Mapping[str, str]:
    """The addresses of the servers that `make up` brought up here; empty where it used others."""
    last = kept()
    return {} if last is None or last.form is Form.ENVIRONMENT else environment.written()


def keep(choice: Choice) -> None:
    """Note the form of the stack that is being brought up, for `status` and `down`."""
    told = {"form": choice.form, "reason": choice.reason}
    layout.CHOICE_FILE.write_text(json.dumps(told, indent=2))


def kept() -> Choice | None:
    """The form of the stack that was brought up here; None when there was none."""
    try:
        told = json.loads(layout.CHOICE_FILE.read_text())
    except FileNotFoundError:
        return None
    return Choice(Form(told["form"]), told["reason"], {})


def _complete(given: Mapping[str, str]) -> Mapping[str, str]:
    missing = [name for name in VARIABLES if name not in given]
    if missing:
        raise StackError(
            f"the environment sets {', '.join(given)} but not {', '.join(missing)}: "
            "set all of them to use servers of your own, or none"
        )
    return given


def _docker_answers() -> bool:
    try:
        answer = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            capture_output=True, text=True, timeout=DOCKER_ANSWER_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    # Some clients end with 0 although no engine answered.
    return answer.returncode == 0 and bool(answer.stdout.strip())
