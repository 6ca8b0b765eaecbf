"""Kafka and PostgreSQL of `make up` as services see them: addresses, wherever they come from."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local import contents, processes
from deploy.local.choice import Choice, Form
from deploy.local.credentials import Credentials
from deploy.local.errors import StackError
from deploy.local.jars import cache_directory
from deploy.local.kafka.cluster import Kafka, one_node
from deploy.local.kafka.node import COPIES
from deploy.local.kafka.quick_start import Runtime, prepare_runtime
from deploy.local.kafka.ready import count_brokers
from deploy.local.kafka.training import needs_training, train
from deploy.local.layout import HOME, RECORDS
from deploy.local.ports import require_free
from deploy.local.postgres.programs import Programs, find_programs
from deploy.local.postgres.server import Postgres
from deploy.local.progress import step
from deploy.local.services import WITH_DATABASE, chosen_port

KAFKA_PORT = 19092  # the two above it are for Kafka's own traffic
POSTGRES_PORT = 15432
FREE_BYTES_NEEDED = 2 * 1024**3
GIGABYTE = 1024**3


@dataclass(frozen=True, slots=True)
class Servers:
    """What services connect to; `database_urls` by service name.

    `data`: a name for where the databases' contents are kept, where we keep them ourselves.
    """

    kafka_bootstrap: str
    replication_factor: int
    database_urls: Mapping[str, str]
    data: str | None = None


def bring_up(choice: Choice, credentials: Credentials) -> Servers:
    """The servers of the chosen form (not `docker`), running and with a database per service."""
    if choice.form is Form.ENVIRONMENT:
        return _given(choice.addresses)
    return _native(credentials)


def prepare() -> Runtime:
    """Fetch what the native form needs and is not here yet: jars, and the quick-start cache."""
    with step("java", "fetching 47 jars of Kafka (43 MB)") as outcome:
        runtime = prepare_runtime()
        outcome.append(f"Java {runtime.java.major}, Kafka's jars verified")
    if needs_training(runtime):
        with step("quick start", "writing Kafka's quick-start cache, once (about 10 s)"):
            train(runtime, HOME)
    return runtime


def require_disk_space() -> None:
    """Raise `StackError` when the disk is too full to begin."""
    for directory in {HOME, cache_directory()}:
        free = shutil.disk_usage(directory).free
        if free < FREE_BYTES_NEEDED:
            raise StackError(
                f"{directory} has {free / GIGABYTE:.1f} GB free; "
                f"the stack needs {FREE_BYTES_NEEDED / GIGABYTE:.0f} GB"
            )


def copies(bootstrap: str) -> int:
    """How many copies of a partition somebody else's Kafka can keep: 3 where it has 3 brokers."""
    brokers = count_brokers(bootstrap)
    if brokers == 0:
        raise StackError(f"no Kafka answers at KAFKA_BOOTSTRAP={bootstrap}")
    return min(COPIES, brokers)


def _given(addresses: Mapping[str, str]) -> Servers:
    bootstrap = addresses["KAFKA_BOOTSTRAP"]
    urls = {service.name: addresses[service.database_variable] for service in WITH_DATABASE}
    return Servers(bootstrap, copies(bootstrap), urls)


def _native(credentials: Credentials) -> Servers:
    kafka, postgres = _kafka(prepare()), _postgres(find_programs())
    with step("kafka", "starting") as outcome:
        kafka.launch()
        with step("postgres", "initialising and starting") as postgres_outcome:
            postgres.start()
            urls = _databases(postgres, credentials)
            postgres_outcome.append(f"PostgreSQL {postgres.programs.major} at port {postgres.port}")
        kafka.wait_ready()
        outcome.append(f"Kafka 4.1 at {kafka.bootstrap}")
    return Servers(kafka.bootstrap, kafka.replication_factor, urls, data=postgres.base.name)


def _kafka(runtime: Runtime) -> Kafka:
    port = chosen_port("KAFKA_PORT", KAFKA_PORT)
    if processes.recorded(RECORDS / "kafka-1.json") is None:
        for needed in (port, port + 1, port + 2):
            require_free("Kafka", needed, "KAFKA_PORT")
    return one_node(
        HOME, runtime, client_port=port, internal_port=port + 1, controller_port=port + 2
    )


def _postgres(programs: Programs) -> Postgres:
    postgres = Postgres(HOME, programs, chosen_port("POSTGRES_PORT", POSTGRES_PORT))
    if postgres.process() is None:
        require_free("PostgreSQL", postgres.port, "POSTGRES_PORT")
    return postgres


def _databases(postgres: Postgres, credentials: Credentials) -> Mapping[str, str]:
    passwords = {service.role: credentials.get_or_draw(service.role) for service in WITH_DATABASE}
    contents.create_databases(postgres.administrator_url(), passwords)
    return {
        service.name: postgres.url(service.name, service.role, passwords[service.role])
        for service in WITH_DATABASE
    }
