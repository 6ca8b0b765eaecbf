"""`make status` and `make logs`: what runs, why in this form, and what it says."""

import subprocess
import sys

import psutil

from deploy.local import choice, compose, layout, processes, running, supervisor
from deploy.local.choice import Form
from deploy.local.credentials import Credentials
from deploy.local.errors import StackError
from deploy.local.ports import HOST
from deploy.local.processes import Process
from deploy.local.progress import say
from deploy.local.services import SERVICES, Service
from deploy.local.supervisor import ProgramState

SERVERS = ("kafka-1", "postgres", supervisor.NAME)
TAIL_LINES = "100"


def status() -> None:
    """Say which form runs and why, and of every process its pid, port and readiness."""
    kept = choice.kept()
    if kept is None:
        say("Mainstay was not brought up here yet (make up)")
        return
    say(str(kept))
    if kept.form is Form.DOCKER:
        compose.status(Credentials(layout.CREDENTIALS_FILE))
        return
    for name in SERVERS if kept.form is Form.NATIVE else (supervisor.NAME,):
        say(_server_line(name, processes.recorded(layout.RECORDS / f"{name}.json")))
    states = supervisor.states()
    for service in SERVICES:
        say(_service_line(service, states.get(service.name)))
    if (mail := states.get(running.MAIL)) is not None:
        page = f"http://{HOST}:{running.mail_page_port()}  what was sent"
        say(_line(running.MAIL, mail.state.lower(), mail.pid, page))


def logs(service: str | None) -> None:
    """Show the last lines of all logs, or of one service's; follow them on a terminal."""
    kept = choice.kept()
    if kept is not None and kept.form is Form.DOCKER:
        compose.logs(Credentials(layout.CREDENTIALS_FILE), service)
        return
    files = [layout.log_of(service)] if service else sorted(layout.LOGS.glob("*.log"))
    present = [file for file in files if file.exists()]
    if not present:
        raise StackError("there are no logs yet" + (f" of {service}" if service else ""))
    follow = ["-F"] if sys.stdout.isatty() else []
    subprocess.run(["tail", "-n", TAIL_LINES, *follow, *present], check=False)


def _server_line(name: str, process: Process | None) -> str:
    if process is None:
        return _line(name, "not running", None, "")
    return _line(name, "running", process.pid, _listening_port(process))


def _service_line(service: Service, told: ProgramState | None) -> str:
    if told is None:
        return _line(service.name, "not running", None, "")
    ready = running.readiness(service) or "ready"
    return _line(service.name, told.state.lower(), told.pid, f"{service.url}  {ready}")


def _line(name: str, state: str, pid: int | None, rest: str) -> str:
    shown = f"pid {pid}" if pid else ""
    return f"  {name:<11} {state:<11} {shown:<12} {rest}".rstrip()


def _listening_port(process: Process) -> str:
    try:
        connections = psutil.Process(process.pid).net_connections("tcp")
    except psutil.Error:
        return ""
    ports = sorted(one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN)
    return f"port {ports[0]}" if ports else ""
