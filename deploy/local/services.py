"""The six services as the stack sees them: name, default port, whether it has a database."""

import os
from dataclasses import dataclass

from deploy.local.errors import StackError
from deploy.local.ports import HOST

LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Service:
    """One service. Its module is `services.<name>`, its variables begin with its name."""

    name: str
    default_port: int
    has_database: bool = True

    @property
    def port_variable(self) -> str:
        """Chooses another port: `HEALTH_PORT`."""
        return f"{self.name.upper()}_PORT"

    @property
    def url_variable(self) -> str:
        """Tells others where it is: `HEALTH_URL`."""
        return f"{self.name.upper()}_URL"

    @property
    def database_variable(self) -> str:
        """Tells the service where its tables are: `DATABASE_URL_HEALTH`."""
        return f"DATABASE_URL_{self.name.upper()}"

    @property
    def role(self) -> str:
        """Its role in PostgreSQL, which sees its own database and no other."""
        return f"{self.name}_app"

    @property
    def port(self) -> int:
        """Where it listens on this machine."""
        return chosen_port(self.port_variable, self.default_port)

    @property
    def url(self) -> str:
        """Where it answers on this machine."""
        return f"http://{HOST}:{self.port}"


SERVICES = (
    Service("ingest", 8001),
    Service("health", 8002),
    Service("cadence", 8003),
    Service("nps", 8004),
    Service("metrics", 8005),
    Service("console", 8000, has_database=False),
)
WITH_DATABASE = tuple(service for service in SERVICES if service.has_database)


def named(name: str) -> Service:
    """The service of that name. Raises `StackError` for any other word."""
    for service in SERVICES:
        if service.name == name:
            return service
    known = ", ".join(service.name for service in SERVICES)
    raise StackError(f"there is no service {name!r}; the services are {known}")


def chosen_port(variable: str, default: int) -> int:
    """The port named by an environment variable, else `default`. `StackError` on nonsense."""
    text = os.environ.get(variable, str(default))
    if not text.isdecimal() or not 0 < int(text) <= LAST_PORT:
        raise StackError(f"{variable}={text!r} is not a port (1 to 65535)")
    return int(text)
