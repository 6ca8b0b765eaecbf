"""Fixtures that every folder of tests may ask for; none is started unless a test does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.mainstay import Mainstay, running_mainstay
from tests.support.processes import ServiceProcess
from tests.support.stack import TemporaryStack, temporary_stack

FreshDatabase = Callable[[str], str]
FAULTS = Path(__file__).parent / "faults"
# Half of the time that rows take; the other files make the other half.
FIRST_FAULTS = {"test_brokers_die.py", "test_consumer_dies.py"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where two processes run the tests, each takes half of the faults first, then whole files.

    Tests of a group share what they start: a Kafka and a PostgreSQL, three brokers for the faults.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: not item.path.is_relative_to(FAULTS))


def _group(item: pytest.Item) -> str:
    if not item.path.is_relative_to(FAULTS):
        return item.nodeid.partition("::")[0]
    return f"faults {1 if item.path.name in FIRST_FAULTS else 2}"


@pytest.fixture(scope="session")
def stack() -> Iterator[TemporaryStack]:
    """A real Kafka with all topics and a real PostgreSQL, for all tests of the session."""
    with temporary_stack() as started:
        yield started


@pytest.fixture
def fresh_database(stack: TemporaryStack) -> Iterator[FreshDatabase]:
    """Call it with a service's name: a database with its tables and no rows, dropped afterwards."""
    made: list[tuple[str, str]] = []

    def make(service: str) -> str:
        url = stack.fresh_database(service)
        made.append((service, url))
        return url

    yield make
    for service, url in made:
        stack.drop_database(service, url)


@pytest.fixture(scope="module")
def mainstay(stack: TemporaryStack) -> Iterator[Mainstay]:
    """Ingest and health as processes, for the tests of one module; each has its own workspace.

    No longer: health tells of its progress in a topic that other tests look at.
    """
    with running_mainstay(stack) as running:
        yield running


@pytest.fixture(scope="module")
def console(mainstay: Mainstay) -> Iterator[ServiceProcess]:
    """The console as a process in front of that health; nobody is signed in."""
    with ServiceProcess("console", {"HEALTH_URL": mainstay.health.url}) as running:
        yield running
