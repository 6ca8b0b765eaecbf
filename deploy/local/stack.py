"""`make up`, `down` and `reset`: the whole stack from its parts, one verb at a time."""

import fcntl
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import choice, compose, environment, layout, processes, running, supervisor
from deploy.local.choice import Choice, Form
from deploy.local.credentials import Credentials
from deploy.local.processes import Process
from deploy.local.progress import say, step
from deploy.local.servers import Servers, bring_up, require_disk_space
from deploy.local.services import named
from deploy.local.workspace import KEYS, SECRETS, ensure_demo_workspace

SERVER_STOP_SECONDS = 15.0


def up() -> None:
    """Bring everything up that is not, and write `.local/env`; a failure leaves nothing half."""
    with _alone():
        chosen = choice.choose(choice.own_addresses())
        say(str(chosen))
        require_disk_space()
        with _undone_on_failure():
            choice.keep(chosen)
            credentials = Credentials(layout.CREDENTIALS_FILE)
            servers = (
                _in_containers(credentials)
                if chosen.form is Form.DOCKER
                else _as_processes(chosen, credentials)
            )
            environment.write(_variables(servers, credentials))
        say(f"Mainstay is up: {named('console').url} (addresses and keys: .local/env)")


def down() -> None:
    """Stop everything that `up` started, also a half of it; data and keys stay."""
    with _alone():
        _stop_all()
    say("Mainstay is down; its data stays (make reset deletes it)")


def reset() -> None:
    """Stop everything and delete its data, keys and logs. Servers of others are not touched."""
    with _alone():
        _stop_all()
        if _is_in_containers():
            compose.delete(Credentials(layout.CREDENTIALS_FILE))
        for entry in layout.HOME.iterdir():
            if entry.name not in layout.KEPT_BY_RESET:
                _delete(entry)
    say("Mainstay is down and its data deleted")


def _as_processes(chosen: Choice, credentials: Credentials) -> Servers:
    _stop_strays()
    running.require_free_ports()
    servers = bring_up(chosen, credentials)
    running.migrate(servers, credentials)
    running.start(servers, credentials)
    _demo_workspace(credentials)
    running.start_console(servers, credentials)
    return servers


def _in_containers(credentials: Credentials) -> Servers:
    compose.up(credentials)
    _demo_workspace(credentials)
    # Again, because only now is there the key that the console opens with.
    return compose.up(credentials)


def _demo_workspace(credentials: Credentials) -> None:
    with step("workspace", "creating") as outcome:
        outcome.append(ensure_demo_workspace(named("ingest").url, credentials))


def _variables(servers: Servers, credentials: Credentials) -> dict[str, str]:
    """All of `.local/env`, by name."""
    databases = {named(name).database_variable: url for name, url in servers.database_urls.items()}
    secrets = {
        name: credentials.get(name) or ""
        for name in ("OPERATOR_KEY", *KEYS.values(), *SECRETS.values())
    }
    addresses = {**running.shared_environment(), "KAFKA_BOOTSTRAP": servers.kafka_bootstrap}
    return {**addresses, **databases, **secrets}


def _recorded(*names: str) -> list[Process]:
    found = (processes.recorded(layout.RECORDS / f"{name}.json") for name in names)
    return [process for process in found if process is not None]


def _stop_strays() -> None:
    """Stop what a killed `up` did not record and services whose supervisor was killed."""
    known = _recorded("kafka-1", "postgres", supervisor.NAME)
    strays = processes.stop_marked(layout.HOME, wait_seconds=supervisor.STOP_SECONDS, keep=known)
    if strays:
        say(f"  stopped {len(strays)} left-over processes of an earlier start")


def _stop_all() -> None:
    if _is_in_containers():
        compose.down(Credentials(layout.CREDENTIALS_FILE))
    if supervisor.process() is not None:
        with step("services", "stopping"):
            supervisor.stop()
    if _recorded("kafka-1", "postgres"):
        with step("servers", "stopping"):
            postgres, kafka = _recorded("postgres"), _recorded("kafka-1")
            processes.stop(*postgres, wait_seconds=SERVER_STOP_SECONDS, first=signal.SIGINT)
            processes.stop(*kafka, wait_seconds=SERVER_STOP_SECONDS)
    _stop_strays()


def _is_in_containers() -> bool:
    kept = choice.kept()
    return kept is not None and kept.form is Form.DOCKER


@contextmanager
def _undone_on_failure() -> Iterator[None]:
    """Take down what a failing or interrupted start leaves, unless all of it ran before."""
    was_up = supervisor.process() is not None and layout.ENVIRONMENT_FILE.exists()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        yield
    except BaseException:
        if not was_up:
            _stop_all()
        raise


def _interrupt(number: int, _frame: object) -> None:
    sys.exit(128 + number)


@contextmanager
def _alone() -> Iterator[None]:
    """Inside the block no other verb changes this stack; waits while another one does."""
    layout.prepare_home()
    with layout.LOCK_FILE.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  waiting for another `make` that is changing this stack")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _delete(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    elif entry != layout.LOCK_FILE:
        entry.unlink()
