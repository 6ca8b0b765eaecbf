"""`make up` and `make down` as a person runs them, beside whatever else runs on this machine."""

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local import processes
from deploy.local.layout import ROOT
from deploy.local.ports import is_taken, reserve
from deploy.local.services import SERVICES
from deploy.local.waiting import wait_until
from tests.support.homes import new_home, remove

NAMES = {
    *("CONSOLE_URL", "INGEST_URL", "HEALTH_URL", "CADENCE_URL", "NPS_URL", "METRICS_URL"),
    *("DATABASE_URL_INGEST", "DATABASE_URL_HEALTH", "DATABASE_URL_CADENCE"),
    *("DATABASE_URL_NPS", "DATABASE_URL_METRICS", "KAFKA_BOOTSTRAP", "SMTP_HOST", "SMTP_PORT"),
    "MAIL_URL",
    *("OPERATOR_KEY", "WRITE_KEY", "READ_KEY", "MANAGE_KEY"),
    *("STRIPE_WEBHOOK_SECRET", "STANDARD_WEBHOOK_SECRET"),
}


@dataclass(frozen=True)
class Checkout:
    """A stack of its own: directory and ports of this test, without Docker."""

    home: Path
    environment: dict[str, str]

    def run(self, verb: str) -> "subprocess.CompletedProcess[str]":
        """`python -m deploy.local VERB`."""
        return self._python("deploy.local", verb)

    def demo(self) -> "subprocess.CompletedProcess[str]":
        """`python -m deploy.demo`, which `make demo` runs once the stack is up."""
        return self._python("deploy.demo")

    def _python(self, *module: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", *module],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def variables(self) -> dict[str, str]:
        """What `.local/env` says."""
        lines = (self.home / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    """Nothing runs in it yet; nothing is left of it afterwards."""
    home = new_home("up")
    names = [service.port_variable for service in SERVICES]
    names += ["SMTP_PORT", "MAIL_PAGE_PORT", "POSTGRES_PORT", "KAFKA_PORT"]
    first = free_ports(len(names) + 2)  # Kafka takes two more behind its own
    ports = {name: str(port) for port, name in enumerate(names, first)}
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment = {
        **inherited,
        **ports,
        "STACK_HOME": str(home),
        "DOCKER_HOST": "tcp://127.0.0.1:1",
    }
    yield Checkout(home, environment)
    remove(home)


def free_ports(count: int) -> int:
    """The first of so many neighbours that nobody listens on.

    Below those that the kernel gives away: any connection of a test beside this one could take one
    of those before the stack does.
    """
    candidates = range(21_000, 29_000, 20)
    return next(
        first for first in candidates if not any(map(is_taken, range(first, first + count)))
    )


def test_up_twice_makes_everything_ready_and_down_leaves_no_process(checkout: Checkout) -> None:
    first = checkout.run("up")
    assert first.returncode == 0, first.stdout + first.stderr
    written = checkout.variables()
    second = checkout.run("up")
    status = checkout.run("status")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "native (no addresses in the environment, no Docker engine answers)" in first.stdout
    assert written.keys() == NAMES
    assert all(written.values())
    assert checkout.variables() == written
    assert status.stdout.count("ready") == len(SERVICES), status.stdout

    assert_mail_is_taken_and_shown(written)

    assert_demo_says_where_to_look(checkout, written)

    assert_service_comes_back_after_a_crash(checkout, written["HEALTH_URL"])

    assert checkout.run("down").returncode == 0
    assert processes.marked(checkout.home) == []


def test_start_that_fails_leaves_nothing_running(checkout: Checkout) -> None:
    taken = reserve()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(checkout.environment, "NPS_PORT", str(taken.port))
        taken.holder.listen()

        failed = checkout.run("up")

    assert failed.returncode == 1
    assert f"port {taken.port} for nps is taken" in failed.stderr.splitlines()[0]
    assert processes.marked(checkout.home) == []
    taken.release()


def assert_service_comes_back_after_a_crash(checkout: Checkout, url: str) -> None:
    """Kill health and await its successor."""
    crashed = pid_of(checkout, "services.health")
    psutil.Process(crashed).kill()

    def is_back() -> bool:
        return pid_of(checkout, "services.health") not in (crashed, 0) and answers(url)

    assert wait_until(is_back, timeout_seconds=90)


def assert_mail_is_taken_and_shown(written: dict[str, str]) -> None:
    """Send a letter to the stack's own mail server, and read it on its page."""
    with smtplib.SMTP(written["SMTP_HOST"], int(written["SMTP_PORT"]), timeout=10) as client:
        client.sendmail("a@acme.test", ["kim@example.com"], b"Subject: Hello\r\n\r\nHi\r\n")

    (letter,) = httpx.get(f"{written['MAIL_URL']}/letters.json", timeout=10).json()

    assert (letter["subject"], letter["recipients"]) == ("Hello", ["kim@example.com"])
    assert "Hi" in httpx.get(f"{written['MAIL_URL']}/letters/{letter['number']}", timeout=10).text


def assert_demo_says_where_to_look(checkout: Checkout, written: dict[str, str]) -> None:
    """Load the demo company, and look for the places, the accounts and the revenue."""
    demo = checkout.demo()

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert written["CONSOLE_URL"] in demo.stdout
    assert written["MAIL_URL"] in demo.stdout
    assert "The ten accounts with the lowest score" in demo.stdout
    assert "Revenue in" in demo.stdout


def pid_of(checkout: Checkout, module: str) -> int:
    """The process of this stack that runs `module`; 0 when there is none."""
    for process in processes.marked(checkout.home):
        try:
            if module in psutil.Process(process.pid).cmdline():
                return process.pid
        except psutil.NoSuchProcess:
            continue
    return 0


def answers(url: str) -> bool:
    """Whether the service is alive."""
    try:
        return httpx.get(f"{url}/health", timeout=3).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
