"""The services of `make up`: what each is told, and waiting until all of them are ready."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from deploy.local import contents, migrated, processes, supervisor
from deploy.local.credentials import Credentials
from deploy.local.errors import StackError
from deploy.local.layout import ROOT, SPILL, log_of
from deploy.local.ports import HOST, require_free
from deploy.local.progress import step
from deploy.local.servers import Servers
from deploy.local.services import SERVICES, WITH_DATABASE, Service, chosen_port, named
from deploy.local.supervisor import Program

READY_SECONDS = 120.0  # six Python starts on a busy machine take a minute
ANSWER_SECONDS = 3.0
ASK_AGAIN_SECONDS = 0.1
LOOK_EVERY_SECONDS = 1.0
# A service that ends so often before it is ready does so for a reason that waiting will not mend.
MOST_ENDS = 2
MIGRATIONS_AT_ONCE = 2  # each is a Python start, all processor
SMTP_PORT = 8025
MAIL_PAGE_PORT = 8026
MAIL = "mail"
CONSOLE = "console"


def require_free_ports() -> None:
    """Raise `StackError` when a service's port is taken by somebody else."""
    if supervisor.process() is None:
        for service in SERVICES:
            require_free(service.name, service.port, service.port_variable)
        require_free(MAIL, smtp_port(), "SMTP_PORT")
        require_free("the page of mail", mail_page_port(), "MAIL_PAGE_PORT")


def migrate(servers: Servers, credentials: Credentials) -> None:
    """Create the topics and bring every service's tables to their newest form."""
    with step("topics", "creating"):
        contents.create_topics(servers.kafka_bootstrap, servers.replication_factor)
    with step("tables", "migrating") as outcome, ThreadPoolExecutor(MIGRATIONS_AT_ONCE) as pool:
        behind = [service for service in WITH_DATABASE if not _is_migrated(service, servers)]
        list(pool.map(lambda service: _migrate(service, servers, credentials), behind))
        outcome.append(f"of {len(WITH_DATABASE)} services up to date")


def start(servers: Servers, credentials: Credentials) -> None:
    """Run all services and wait until those with a database are ready.

    The first time without the console: the key that it opens with does not exist yet.
    """
    first_time = credentials.get("READ_KEY") is None
    with step("services", "starting") as outcome:
        supervisor.apply(_programs(servers, credentials, WITH_DATABASE if first_time else SERVICES))
        wait_ready(WITH_DATABASE)
        outcome.append(f"{', '.join(service.name for service in WITH_DATABASE)} ready")


def start_console(servers: Servers, credentials: Credentials) -> None:
    """Run the console too, now that the key exists that it opens with."""
    with step(CONSOLE, "starting") as outcome:
        supervisor.apply(_programs(servers, credentials, SERVICES))
        wait_ready([named(CONSOLE)])
        outcome.append(f"ready at {named(CONSOLE).url}")


def shared_environment() -> dict[str, str]:
    """What every service is told, and `.local/env` repeats: where the others are."""
    return {
        **{service.url_variable: service.url for service in SERVICES},
        "SMTP_HOST": HOST,
        "SMTP_PORT": str(smtp_port()),
        "MAIL_URL": f"http://{HOST}:{mail_page_port()}",
    }


def wait_ready(services: Sequence[Service]) -> None:
    """Wait until every service's `GET /ready` is 200.

    Raises `StackError` naming the service, its failing dependency and its last words, when one
    keeps ending or time is up.
    """
    deadline = time.monotonic() + READY_SECONDS
    waiting, watch = list(services), _Watch()
    while waiting := [service for service in waiting if not is_ready(service)]:
        stuck = [service for service in waiting if service.name in watch.keeps_ending()]
        if stuck or time.monotonic() > deadline:
            raise StackError(_why_not((stuck or waiting)[0]))
        time.sleep(ASK_AGAIN_SECONDS)


class _Watch:
    """Counts how often the supervisor had to start each service again."""

    def __init__(self) -> None:
        self._ends: Counter[str] = Counter()
        self._ended: set[str] = set()
        self._looked_at = time.monotonic()

    def keeps_ending(self) -> set[str]:
        """The services that will not come up by waiting. Looks seldom: each look is a process."""
        if time.monotonic() - self._looked_at > LOOK_EVERY_SECONDS:
            states = supervisor.states()
            ended = {name for name, told in states.items() if told.state in ("BACKOFF", "FATAL")}
            self._ends.update(ended - self._ended)
            self._ended, self._looked_at = ended, time.monotonic()
        return {name for name, times in self._ends.items() if times >= MOST_ENDS}


def is_ready(service: Service) -> bool:
    """Whether the service says that it can do its work."""
    return readiness(service) is None


def readiness(service: Service) -> str | None:
    """Why the service is not ready; None when it is."""
    try:
        answer = httpx.get(f"{service.url}/ready", timeout=ANSWER_SECONDS)
    except httpx.TransportError:
        return "does not answer"
    if answer.status_code == httpx.codes.OK:
        return None
    return _failing(answer)


def _failing(answer: httpx.Response) -> str:
    try:
        told = answer.json()["dependencies"]
        return ", ".join(f"{name}: {reason}" for name, reason in told.items() if reason != "ok")
    except (ValueError, KeyError, AttributeError):
        return f"answers {answer.status_code}"


def _why_not(service: Service) -> str:
    reason = readiness(service) or "became ready too late"
    log = log_of(service.name)
    return f"{service.name} is not ready: {reason}; the end of {log}:\n{processes.last_lines(log)}"


def _migrate(service: Service, servers: Servers, credentials: Credentials) -> None:
    contents.migrate(service, _told(service, servers, credentials))
    if servers.data is not None:
        migrated.note(service, servers.data)


def _is_migrated(service: Service, servers: Servers) -> bool:
    return servers.data is not None and migrated.is_up_to_date(service, servers.data)


def _programs(
    servers: Servers, credentials: Credentials, services: Sequence[Service]
) -> list[Program]:
    running = [
        Program.of_service(service, _told(service, servers, credentials)) for service in services
    ]
    return [*running, _sink()]


def _sink() -> Program:
    """Takes all mail of this stack, and shows it on a page."""
    ports = ("--smtp-port", str(smtp_port()), "--page-port", str(mail_page_port()))
    return Program(MAIL, ("deploy.sink", *ports), {}, (ROOT / "deploy" / "sink",))


def smtp_port() -> int:
    """Where the stack's mail is taken."""
    return chosen_port("SMTP_PORT", SMTP_PORT)


def mail_page_port() -> int:
    """Where what was sent can be read."""
    return chosen_port("MAIL_PAGE_PORT", MAIL_PAGE_PORT)


def _told(service: Service, servers: Servers, credentials: Credentials) -> Mapping[str, str]:
    """A service's environment: its own database and keys, and nobody else's."""
    told = {**shared_environment(), "KAFKA_BOOTSTRAP": servers.kafka_bootstrap}
    told[service.port_variable] = str(service.port)
    if service.has_database:
        told[service.database_variable] = servers.database_urls[service.name]
    if service.name == "ingest":
        told["OPERATOR_KEY"] = credentials.get_or_draw("OPERATOR_KEY")
        told["INGEST_SPILL_DIRECTORY"] = str(SPILL)
    if service.name == "cadence":
        told["CADENCE_SECRETS"] = credentials.get_or_draw("CADENCE_SECRETS")
    if service.name in ("cadence", "nps"):
        told[f"{service.name.upper()}_PUBLIC_URL"] = service.url
    if service.name == CONSOLE:
        told["CONSOLE_DEFAULT_KEY"] = credentials.get("READ_KEY") or ""
        told["CONSOLE_SESSION_SECRET"] = credentials.get_or_draw("CONSOLE_SESSION_SECRET")
    return told
