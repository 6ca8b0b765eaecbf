"""The Kafka and the PostgreSQL of one bench: real, native, with own ports and data.

Always native, because the processor time of a server in a container cannot be told from here.
"""

import fcntl
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.machine import Cores, pinned
from deploy.local import contents, layout, processes
from deploy.local.credentials import Credentials
from deploy.local.kafka.cluster import Kafka, one_node_anywhere
from deploy.local.kafka.quick_start import prepare_runtime
from deploy.local.kafka.training import train
from deploy.local.ports import reserve
from deploy.local.postgres import databases
from deploy.local.postgres.programs import find_programs
from deploy.local.postgres.server import Postgres
from deploy.local.services import named
from deploy.local.waiting import ask
from shared.bus.kafka import topics
from shared.events.base import Topic

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Stack:
    """Kafka with all topics, and a PostgreSQL that keeps what it commits."""

    home: Path
    kafka: Kafka
    postgres: Postgres
    credentials: Credentials
    cores: Cores

    def create_topic(self, topic: Topic) -> None:
        """Create a topic of the bench's own, with the settings that declared ones get."""
        ask(topics.create(self.kafka.bootstrap, [topic], replication_factor=1))

    def records_in(self, *counted: Topic) -> int:
        """How many records have been written to these topics so far."""
        return ask(_records_in(self.kafka.bootstrap, counted))

    def create_database(self, service: str) -> str:
        """Address of an empty database that belongs to the service's role."""
        owner = named(service).role
        password = self.credentials.get_or_draw(owner)
        databases.create_role(self.postgres.administrator_url(), owner, password)
        name = f"{service}_{next(_numbers)}"
        databases.create_database(self.postgres.administrator_url(), name, owner=owner)
        return self.postgres.url(name, owner, password)

    def create_migrated_database(self, service: str, told: Mapping[str, str]) -> str:
        """Address of a database with all tables of the service and no rows.

        `told`: what the service is told beside the addresses.
        """
        url = self.create_database(service)
        contents.migrate(named(service), {**told, **self.environment(service, url)})
        return url

    def environment(self, service: str, database_url: str) -> dict[str, str]:
        """What tells a service where its servers are."""
        return {
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            named(service).database_variable: database_url,
        }

    def copy_of(self, url: str) -> str:
        """Address of a copy of a database, to which nobody may be connected."""
        server = urlsplit(url)
        source, owner = server.path.removeprefix("/"), server.username or ""
        name = f"{source}_{next(_numbers)}"
        databases.copy_database(
            self.postgres.administrator_url(), source=source, target=name, owner=owner
        )
        return urlunsplit(server._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database, ending the sessions in it."""
        name = urlsplit(url).path.removeprefix("/")
        databases.drop_database(self.postgres.administrator_url(), name)

    @property
    def postgres_pid(self) -> int:
        """The server process, whose children serve the connections."""
        process = self.postgres.process()
        assert process is not None, "PostgreSQL has ended"
        return process.pid


@contextmanager
def own_stack(cores: Cores) -> Iterator[Stack]:
    """The stack of the block, on the cores that are not measured; nothing is left of it."""
    runtime, programs = prepare_runtime(), find_programs()
    with _own_home() as home, ExitStack() as started:
        train(runtime, home)
        kafka, port = one_node_anywhere(home, runtime), reserve()
        postgres = Postgres(home, programs, port.port, durable=True)
        started.callback(port.release)
        started.callback(kafka.stop)
        started.callback(postgres.stop)
        with pinned(cores.others):
            postgres.start()
            kafka.start()
        contents.create_topics(kafka.bootstrap, kafka.replication_factor)
        yield Stack(home, kafka, postgres, Credentials(home / "credentials.json"), cores)


@contextmanager
def _own_home() -> Iterator[Path]:
    """An empty directory, ours alone; what a killed bench left is stopped and removed first."""
    layout.prepare_home()
    home = layout.HOME / "bench"
    with (layout.HOME / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("error: another bench is running here; two would measure each other")
        _remove(home)
        # So that PostgreSQL, which is another user when we are root, can pass through.
        home.mkdir(mode=0o711)
        try:
            yield home
        finally:
            _remove(home)


def _remove(home: Path) -> None:
    processes.stop_marked(home, wait_seconds=10)
    shutil.rmtree(home, ignore_errors=True)


async def _records_in(bootstrap: str, counted: Sequence[Topic]) -> int:
    places = [
        TopicPartition(topic.name, number)
        for topic in counted
        for number in range(topic.partitions)
    ]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return sum((await consumer.end_offsets(places)).values())
    finally:
        await consumer.stop()
