"""What ingest says while something that it needs is away."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.layout import ROOT
from deploy.local.ports import HOST, reserve
from deploy.local.waiting import wait_until
from tests.service.ingest.conftest import Tenant, track
from tests.support.processes import ServiceProcess


@pytest.fixture
def without_kafka(ingest: ServiceProcess, tenant: Tenant) -> Iterator[Tenant]:
    """The same workspace at an ingest whose Kafka is a closed port."""
    port = reserve()
    port.release()
    environment = {**ingest.environment, "KAFKA_BOOTSTRAP": f"{HOST}:{port.port}"}
    process = ServiceProcess("ingest", environment, arguments=("--roles", "api"))
    process.start()
    try:
        answers = wait_until(lambda: _is_alive(process), timeout_seconds=30)
        assert answers, process.last_lines()
        yield Tenant(tenant.workspace, tenant.keys, process.url, tenant.bootstrap)
    finally:
        process.terminate()
        process.port.release()


def _is_alive(process: ServiceProcess) -> bool:
    try:
        return httpx.get(f"{process.url}/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_events_are_refused_in_time_while_kafka_is_away(without_kafka: Tenant):
    started = time.monotonic()

    answer = without_kafka.batch(track("m"))

    assert time.monotonic() - started < 5
    assert (answer.status_code, answer.json()["code"]) == (503, "not_durable")
    assert answer.json()["success"] is False
    assert int(answer.headers["retry-after"]) > 0
    assert not without_kafka.in_topic("ingest.usage.v1")


def test_readiness_says_which_dependency_is_away(without_kafka: Tenant):
    wait_until(lambda: _dependencies(without_kafka)["database"] == "ok", timeout_seconds=20)

    answer = httpx.get(f"{without_kafka.url}/ready")

    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.json()["ready"] is False
    assert answer.json()["dependencies"]["database"] == "ok"
    assert answer.json()["dependencies"]["kafka writer"] != "ok"


def test_an_edge_with_room_on_disk_is_ready_while_kafka_is_away_and_tells_of_it(
    ingest: ServiceProcess, tmp_path: Path
):
    port = reserve()
    port.release()
    environment = {
        **ingest.environment,
        "KAFKA_BOOTSTRAP": f"{HOST}:{port.port}",
        "INGEST_SPILL_DIRECTORY": str(tmp_path / "spill"),
    }

    with ServiceProcess("ingest", environment) as process:
        told = httpx.get(f"{process.url}/ready").json()

    assert told["ready"] is True
    assert told["dependencies"]["database"] == "ok"
    assert told["dependencies"]["kafka"] != "ok"


def _dependencies(tenant: Tenant) -> dict[str, str]:
    told: dict[str, str] = httpx.get(f"{tenant.url}/ready").json()["dependencies"]
    return told


def test_missing_operator_key_stops_the_start_with_one_line(ingest: ServiceProcess):
    environment = {k: v for k, v in ingest.environment.items() if k != "OPERATOR_KEY"}

    ended = subprocess.run(
        [sys.executable, "-m", "services.ingest", "run"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode != 0
    assert "OPERATOR_KEY" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
