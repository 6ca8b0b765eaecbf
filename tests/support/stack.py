"""The Kafka and PostgreSQL of one test session: own ports, own data, gone afterwards.

The form is chosen as for `make up` (`deploy.local.choice`), but never is the stack of a running
`make up` used.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from deploy.local import contents
from deploy.local.choice import Form, choose, own_addresses
from deploy.local.credentials import Credentials
from deploy.local.kafka.cluster import Kafka, one_node_anywhere
from deploy.local.kafka.quick_start import prepare_runtime
from deploy.local.kafka.training import train
from deploy.local.ports import reserve
from deploy.local.postgres import databases
from deploy.local.postgres.programs import find_programs
from deploy.local.postgres.server import Postgres
from deploy.local.servers import copies
from deploy.local.services import WITH_DATABASE, Service, named
from tests.support.homes import new_home, remove, sweep

# Tests share one Kafka, and some leave what no lane can apply: the lanes of others go on behind it.
ANY_POISON = {"KAFKA_DEAD_LETTERS_IN_A_ROW": "1000000"}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a service's databases are made and by whom they are used."""

    administrator_url: str
    service_url: str

    @property
    def role(self) -> str:
        """The service's role, owner of its databases."""
        return urlsplit(self.service_url).username or ""

    def url(self, database: str) -> str:
        """The service's address of another database on the same server."""
        return urlunsplit(urlsplit(self.service_url)._replace(path=f"/{database}"))


@dataclass(frozen=True, slots=True)
class TemporaryStack:
    """Kafka with all topics, and a PostgreSQL in which every service has a role of its own.

    `kafka` and `postgres` are the handles of native processes, for tests that kill them; None
    where containers or servers of somebody else are used.
    """

    kafka_bootstrap: str
    addresses: Mapping[str, DatabaseAddress]
    kafka: Kafka | None = None
    postgres: Postgres | None = None
    _migrated: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def database_url(self, service: str) -> str:
        """A database of the service with all its tables, shared by the tests of this session."""
        shared_name = f"shared_{service}"
        if shared_name not in self._migrated:
            self._migrated[shared_name] = self.fresh_database(service)
        return self._migrated[shared_name]

    def fresh_database(self, service: str) -> str:
        """The address of a new database of the service: all tables, no rows."""
        address, template = self.addresses[service], self._template(named(service))
        name = f"{service}_{os.getpid()}_{next(self._numbers)}"
        databases.copy_database(
            address.administrator_url, source=template, target=name, owner=address.role
        )
        return address.url(name)

    def drop_database(self, service: str, url: str) -> None:
        """Drop a database that `fresh_database` made, with whoever is connected to it."""
        databases.drop_database(
            self.addresses[service].administrator_url, urlsplit(url).path.removeprefix("/")
        )

    def told(self, service: Service, database_url: str) -> dict[str, str]:
        """The environment that a service needs at least."""
        own = {
            service.database_variable: database_url,
            "OPERATOR_KEY": "operator-of-tests",
            "CADENCE_SECRETS": "secret-of-tests-1",
        }
        return {**own, "KAFKA_BOOTSTRAP": self.kafka_bootstrap}

    def _template(self, service: Service) -> str:
        """The database that fresh ones are copied from, migrated when it is first asked for."""
        name = f"{service.name}_{os.getpid()}_template"
        if name not in self._migrated:
            address = self.addresses[service.name]
            databases.create_database(address.administrator_url, name, owner=address.role)
            contents.migrate(service, self.told(service, address.url(name)))
            self._migrated[name] = address.url(name)
        return name


@contextmanager
def temporary_stack() -> Iterator[TemporaryStack]:
    """A stack for the block, in the preferred form of this machine."""
    choice = choose(own_addresses())
    match choice.form:
        case Form.ENVIRONMENT:
            yield _of_addresses(choice.addresses)
        case Form.DOCKER:
            with _containers() as stack:
                yield stack
        case Form.NATIVE:
            with _native() as stack:
                yield stack


@contextmanager
def _native() -> Iterator[TemporaryStack]:
    runtime, programs = prepare_runtime(), find_programs()
    with temporary_home() as home, ExitStack() as started:
        train(runtime, home)
        kafka = one_node_anywhere(home, runtime)
        port = reserve()
        postgres = Postgres(home, programs, port.port, durable=False)
        started.callback(port.release)
        started.callback(kafka.stop)
        started.callback(postgres.stop)
        postgres.start()
        kafka.start()
        contents.create_topics(kafka.bootstrap, kafka.replication_factor)
        addresses = with_roles(postgres.administrator_url(), home)
        yield TemporaryStack(kafka.bootstrap, addresses, kafka, postgres)


@contextmanager
def _containers() -> Iterator[TemporaryStack]:
    # Imported here: without an engine nobody needs them, and they take a second to load.
    from tests.support.containers import kafka_container, postgres_container  # noqa: PLC0415

    with (
        temporary_home() as home,
        kafka_container() as bootstrap,
        postgres_container() as administrator_url,
    ):
        contents.create_topics(bootstrap, 1)
        addresses = with_roles(administrator_url, home)
        yield TemporaryStack(bootstrap, addresses)


def _of_addresses(given: Mapping[str, str]) -> TemporaryStack:
    """Somebody else's servers: each service's own role makes its test databases (CREATEDB)."""
    bootstrap = given["KAFKA_BOOTSTRAP"]
    contents.create_topics(bootstrap, copies(bootstrap))
    urls = {service.name: given[service.database_variable] for service in WITH_DATABASE}
    addresses = {name: DatabaseAddress(url, url) for name, url in urls.items()}
    return TemporaryStack(bootstrap, addresses)


def with_roles(administrator_url: str, home: Path) -> Mapping[str, DatabaseAddress]:
    """A role and a database of its own for every service; `home` keeps the passwords."""
    credentials = Credentials(home / "credentials.json")
    passwords = {service.role: credentials.get_or_draw(service.role) for service in WITH_DATABASE}
    contents.create_databases(administrator_url, passwords)
    return {
        service.name: DatabaseAddress(
            administrator_url, _service_url(administrator_url, service, passwords[service.role])
        )
        for service in WITH_DATABASE
    }


def _service_url(administrator_url: str, service: Service, password: str) -> str:
    server = urlsplit(administrator_url)
    location = f"{service.role}:{password}@{server.hostname}:{server.port}"
    return urlunsplit(server._replace(netloc=location, path=f"/{service.name}"))


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A directory for a stack, removed afterwards; those of killed test runs are swept first."""
    sweep()
    home = new_home("stack")
    try:
        yield home
    finally:
        remove(home)
