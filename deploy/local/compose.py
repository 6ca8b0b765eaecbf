"""The same stack in containers, where a Docker engine answers: `docker-compose.yml`."""

import os
import subprocess
import sys
from collections.abc import Mapping

from deploy.local.credentials import Credentials
from deploy.local.errors import StackError
from deploy.local.layout import ROOT
from deploy.local.ports import HOST, address
from deploy.local.servers import KAFKA_PORT, POSTGRES_PORT, Servers
from deploy.local.services import SERVICES, WITH_DATABASE, Service, chosen_port

FILE = ROOT / "docker-compose.yml"


def up(credentials: Credentials) -> Servers:
    """Build, start what is not as described, and wait until all containers are healthy."""
    told = _variables(credentials)
    _compose("up", "--detach", "--build", "--wait", variables=told)
    port = chosen_port("POSTGRES_PORT", POSTGRES_PORT)
    urls = {
        service.name: (
            f"postgresql://{service.role}:{told[_password_variable(service)]}"
            f"@{HOST}:{port}/{service.name}"
        )
        for service in WITH_DATABASE
    }
    return Servers(address(chosen_port("KAFKA_PORT", KAFKA_PORT)), 1, urls)


def down(credentials: Credentials) -> None:
    """Stop and remove the containers; their volumes stay."""
    _compose("down", variables=_variables(credentials))


def delete(credentials: Credentials) -> None:
    """Remove containers and volumes."""
    _compose("down", "--volumes", variables=_variables(credentials))


def status(credentials: Credentials) -> None:
    """Show the containers."""
    _compose("ps", "--all", variables=_variables(credentials))


def logs(credentials: Credentials, service: str | None) -> None:
    """Show the last lines of the containers' logs; follow them on a terminal."""
    follow = ["--follow"] if sys.stdout.isatty() else []
    chosen = [service] if service else []
    _compose("logs", "--tail", "100", *follow, *chosen, variables=_variables(credentials))


def _variables(credentials: Credentials) -> dict[str, str]:
    """What the file asks for: passwords, keys and ports."""
    passwords = {
        _password_variable(service): credentials.get_or_draw(service.role)
        for service in WITH_DATABASE
    }
    return {
        **passwords,
        "POSTGRES_PASSWORD": credentials.get_or_draw("POSTGRES_PASSWORD"),
        "OPERATOR_KEY": credentials.get_or_draw("OPERATOR_KEY"),
        "CONSOLE_SESSION_SECRET": credentials.get_or_draw("CONSOLE_SESSION_SECRET"),
        "CADENCE_SECRETS": credentials.get_or_draw("CADENCE_SECRETS"),
        "CONSOLE_DEFAULT_KEY": credentials.get("READ_KEY") or "",
        "KAFKA_PORT": str(chosen_port("KAFKA_PORT", KAFKA_PORT)),
        "POSTGRES_PORT": str(chosen_port("POSTGRES_PORT", POSTGRES_PORT)),
        **{service.port_variable: str(service.port) for service in SERVICES},
    }


def _password_variable(service: Service) -> str:
    return f"{service.name.upper()}_DATABASE_PASSWORD"


def _compose(*words: str, variables: Mapping[str, str]) -> None:
    """Run `docker compose`, its progress shown; secrets go by environment, not by file."""
    ended = subprocess.run(
        ["docker", "compose", "--file", FILE, *words],
        env={**os.environ, **variables}, cwd=ROOT, check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        raise StackError(f"docker compose {words[0]} failed; its own lines above say why")
