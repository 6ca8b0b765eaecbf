"""What is put into an empty Kafka and PostgreSQL: topics, databases, tables."""

import os
import sys
from collections.abc import Mapping

from deploy.local import processes
from deploy.local.layout import ROOT
from deploy.local.postgres import databases
from deploy.local.services import WITH_DATABASE, Service
from deploy.local.waiting import ask


def create_topics(bootstrap: str, replication_factor: int) -> None:
    """Create the topics that are missing, with the settings that their contracts declare."""
    # Imported here: the product's modules are slow to load, and most verbs do without them.
    from shared.bus.topics import create_topics as create  # noqa: PLC0415

    ask(create(bootstrap, replication_factor))


def create_databases(administrator_url: str, passwords: Mapping[str, str]) -> None:
    """Create every service's role and database; `passwords` by role."""
    databases.close_to_others(administrator_url)
    for service in WITH_DATABASE:
        databases.create_role(administrator_url, service.role, passwords[service.role])
        databases.create_database(administrator_url, service.name, owner=service.role)


def migrate(service: Service, told: Mapping[str, str]) -> None:
    """Bring a service's tables to the newest form; `StackError` with the reason when it fails.

    `told`: the environment that the service runs with.
    """
    processes.run(
        [sys.executable, "-m", f"services.{service.name}", "migrate"],
        purpose=f"migrate the database of {service.name}",
        directory=ROOT,
        environment={**os.environ, **told},
    )
