"""Ingest: events per CPU-second of the edge, from the socket to Kafka's acknowledgement.

Form by form and size by size the same load is sent for some seconds; then the records that stand
in Kafka are counted. A run whose records are not as many as the accepted events has no figure.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from uuid import uuid4

import httpx
import msgspec

from bench.figures import Comparison, Measure
from bench.load import Order, Outcome
from bench.machine import cores, cpu_seconds, pinned
from bench.running import NotMeasurable, local_url, measured, wait_ready
from bench.stack import Stack, own_stack
from deploy.local.layout import ROOT
from deploy.local.ports import reserve
from deploy.local.processes import Process
from shared.events.base import Topic
from shared.events.ingest import USAGE, USAGE_OVERFLOW

SIZES = (1, 20, 100, 500)  # events a request
CONNECTIONS = 32
OPERATOR_KEY = "bench-operator"
WORKSPACE = {
    "id": "bench",
    "name": "Bench",
    "time_zone": "Europe/Berlin",
    "reporting_currency": "EUR",
    "locale": "en",
    "gross_margin": None,
}
PLAIN_TOPIC = replace(USAGE, name="bench.usage.v1")

AWAITED = "FastAPI + pydantic, await send_and_wait per event"
GATHERED = "FastAPI + pydantic, sends of a request gathered"
MAINSTAY = "Mainstay"

_runs = count()


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to write the edge, running: where to post, and where its events must then stand."""

    name: str
    process: Process
    port: int
    path: str
    key: str
    topics: Sequence[Topic]


def compare(*, rounds: int, seconds: float, tell: Callable[[str], None]) -> list[Comparison]:
    """All forms at all sizes, `seconds` of load each. Raises NotMeasurable."""
    with own_stack(cores()) as stack, ExitStack() as started:
        plain = started.enter_context(_plain(stack))
        forms = [*plain, started.enter_context(_mainstay(stack))]
        tell("ingest: warming up")
        for form in forms:
            _run(stack, form, size=20, seconds=1.0)
        return [
            Comparison(
                title=f"{size} events a request" if size > 1 else "1 event a request",
                rounds=[
                    _round(stack, forms, size=size, seconds=seconds, tell=tell)
                    for _ in range(rounds)
                ],
            )
            for size in SIZES
        ]


def _round(
    stack: Stack,
    forms: Sequence[Form],
    *,
    size: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Mapping[str, Measure]:
    found = {form.name: _run(stack, form, size=size, seconds=seconds) for form in forms}
    rates = ", ".join(f"{measure.rate:,.0f}" for measure in found.values())
    tell(f"ingest: {size} a request: {rates} events per CPU-second")
    return found


def _run(stack: Stack, form: Form, *, size: int, seconds: float) -> Measure:
    """One run. Raises NotMeasurable unless every event was accepted and stands in Kafka."""
    order = Order(
        port=form.port,
        path=form.path,
        key=form.key,
        events_per_request=size,
        connections=CONNECTIONS,
        seconds=seconds,
        run=f"{uuid4().hex[:18]}-{next(_runs):04d}",
    )
    records = stack.records_in(*form.topics)
    used = cpu_seconds(form.process.pid)
    outcome = _loaded(stack, order)
    used = cpu_seconds(form.process.pid) - used
    if outcome.refused or not outcome.events:
        raise NotMeasurable(
            f"{form.name} refused {outcome.refused} of {outcome.requests} requests:"
            f" {outcome.first_refusal}"
        )
    standing = stack.records_in(*form.topics) - records
    if standing != outcome.events:
        raise NotMeasurable(
            f"{form.name} accepted {outcome.events} events, {standing} of them stand in Kafka"
        )
    return Measure(events=outcome.events, cpu_seconds=used, wall_seconds=outcome.wall_seconds)


def _loaded(stack: Stack, order: Order) -> Outcome:
    """What the load, in a process of its own beside Kafka, saw."""
    with pinned(stack.cores.others):
        ended = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "bench.load", msgspec.json.encode(order).decode()],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            timeout=order.seconds + 180,
        )
    if ended.returncode != 0:
        raise NotMeasurable(f"the load broke off: {ended.stderr[-2000:]}")
    return msgspec.json.decode(ended.stdout, type=Outcome)


# --- the forms -----------------------------------------------------------------------------------


@contextmanager
def _plain(stack: Stack) -> Iterator[tuple[Form, Form]]:
    """The tutorial's edge, with its two spellings as two routes."""
    stack.create_topic(PLAIN_TOPIC)
    port = reserve()
    arguments = ("--bootstrap", stack.kafka.bootstrap, "--topic", PLAIN_TOPIC.name)
    command = ("-m", "bench.peers.fastapi_ingest", *arguments, "--port", str(port.port))
    with measured(stack, "fastapi", command, {}) as process:
        wait_ready(stack, "fastapi", process, f"{local_url(port.port)}/health")
        awaited = Form(
            name=AWAITED,
            process=process,
            port=port.port,
            path="/v1/batch",
            key="",
            topics=[PLAIN_TOPIC],
        )
        yield awaited, replace(awaited, name=GATHERED, path="/gathered/v1/batch")
    port.release()


@contextmanager
def _mainstay(stack: Stack) -> Iterator[Form]:
    """The real service, all roles, with a workspace and its write key."""
    port = reserve()
    told = {
        "OPERATOR_KEY": OPERATOR_KEY,
        "INGEST_PORT": str(port.port),
        "INGEST_SPILL_DIRECTORY": str(stack.home / "ingest-spill"),
    }
    url = stack.create_migrated_database("ingest", told)
    environment = {**told, **stack.environment("ingest", url)}
    with measured(
        stack, "ingest", ("-m", "services.ingest", "run", "--roles", "api"), environment
    ) as process:
        wait_ready(stack, "ingest", process, f"{local_url(port.port)}/ready")
        yield Form(
            name=MAINSTAY,
            process=process,
            port=port.port,
            path="/v1/batch",
            key=_write_key(local_url(port.port)),
            topics=[USAGE, USAGE_OVERFLOW],
        )
    port.release()


def _write_key(url: str) -> str:
    """The write key of a new workspace."""
    reply = httpx.post(
        f"{url}/v1/workspaces",
        json=WORKSPACE,
        headers={"Authorization": f"Bearer {OPERATOR_KEY}"},
        timeout=30,
    )
    if reply.status_code != httpx.codes.CREATED:
        raise NotMeasurable(f"no workspace: {reply.status_code} {reply.text[:500]}")
    key: str = reply.json()["keys"]["write"]
    return key
