"""Kafka away: events stand on disk, are answered 200, and reach Kafka in order when it is back."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import contents
from deploy.local.kafka.cluster import Kafka, one_node_anywhere
from deploy.local.kafka.quick_start import prepare_runtime
from deploy.local.waiting import ask, wait_until
from tests.conftest import FreshDatabase
from tests.service.ingest.conftest import Tenant, new_tenant, settings, track
from tests.service.ingest.test_billing import state
from tests.service.ingest.test_webhooks import happened, stripe
from tests.support.homes import new_home, remove
from tests.support.processes import ServiceProcess
from tests.support.stack import TemporaryStack
from tests.unit.ingest.stripe_objects import SECRET

USAGE = "ingest.usage.v1"
BROKER = 1


@pytest.fixture(scope="module")
def kafka() -> Iterator[Kafka]:
    """A Kafka of this module's own, to be killed."""
    home = new_home("kafka")
    node = one_node_anywhere(home, prepare_runtime())
    try:
        node.start()
        contents.create_topics(node.bootstrap, 1)
        yield node
    finally:
        node.stop()
        remove(home)


@dataclass(frozen=True)
class Spilling:
    """An ingest with a spill, its Kafka, and a workspace."""

    ingest: ServiceProcess
    kafka: Kafka
    tenant: Tenant
    directory: Path | None

    def kill_kafka(self) -> None:
        self.kafka.kill_node(BROKER)

    def start_kafka(self) -> None:
        self.kafka.start()

    def send(self, *message_ids: str, **fields: Any) -> httpx.Response:
        return self.tenant.batch(*(track(message_id, **fields) for message_id in message_ids))

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        for line in httpx.get(f"{self.ingest.url}/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"{name} is no metric")

    def dependency(self, name: str) -> str:
        """What /ready says of one dependency."""
        told: str = httpx.get(f"{self.ingest.url}/ready").json()["dependencies"][name]
        return told

    def await_drained(self) -> None:
        drained = wait_until(lambda: not list(self.segments()), timeout_seconds=60)
        assert drained, (list(self.segments()), self.ingest.last_lines())

    def is_accepted(self, message_id: str) -> bool:
        return bool(self.tenant.receipt(message_id)["status"] == "accepted")

    def segments(self) -> Iterator[Path]:
        return self.files("spill")

    def files(self, ending: str) -> Iterator[Path]:
        """The files of the spill with that ending."""
        assert self.directory is not None, "it has no spill"
        return self.directory.glob(f"*/*/*.{ending}")

    def in_topic(self, topic: str = USAGE) -> list[str]:
        """Client ids of the tenant's events in Kafka, in order, repeats left out."""
        return list(dict.fromkeys(event["messageid"] for event in self.tenant.in_topic(topic)))


@contextmanager
def spilling(
    kafka: Kafka, stack: TemporaryStack, database_url: str, directory: Path | None, **told: str
) -> Iterator[Spilling]:
    """An ingest of its own with a spill in `directory`, if any."""
    if kafka.process(BROKER) is None:
        kafka.start()
    environment = {
        **settings(stack, database_url),
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "KAFKA_GROUP_SUFFIX": f".{secrets.token_hex(4)}",
        "INGEST_AUDIT_SECONDS": "0.5",
        **told,
    }
    if directory is not None:
        environment["INGEST_SPILL_DIRECTORY"] = str(directory)
    with ServiceProcess("ingest", environment) as process:
        tenant = new_tenant(process.url, stack)
        yield Spilling(
            process,
            kafka,
            Tenant(tenant.workspace, tenant.keys, process.url, kafka.bootstrap),
            directory,
        )


@pytest.fixture
def outage(
    kafka: Kafka, stack: TemporaryStack, fresh_database: FreshDatabase, tmp_path: Path
) -> Iterator[Spilling]:
    """An ingest with a spill, to live through an outage."""
    with spilling(kafka, stack, fresh_database("ingest"), tmp_path / "spill") as running:
        yield running


def test_facts_and_webhooks_are_taken_while_kafka_is_down(outage: Spilling):
    tenant, url = outage.tenant, "/v1/billing"
    tenant.manage("PATCH", "", {"webhook_secrets": {"stripe": [SECRET]}})
    before = tenant.post(url, {"facts": [state("f-0")]}).json()["results"]
    outage.kill_kafka()
    taken = [tenant.post(url, {"facts": [state(f"f-{number}")]}) for number in range(1, 20)]
    hook = stripe(tenant, happened())
    (refused,) = tenant.post(url, {"facts": [state("bad", currency="?")]}).json()["results"]
    results = [answer.json()["results"][0] for answer in taken]
    spilled = tenant.receipt(results[-1]["message_id"])

    outage.start_kafka()
    outage.await_drained()

    assert {answer.status_code for answer in (*taken, hook)} == {httpx.codes.OK}
    assert (before[0]["status"], before[0]["offset"]) == ("accepted", 0)
    assert {(one["status"], one["offset"]) for one in results} == {("spilled", None)}
    assert spilled["status"] == "spilled"
    assert refused["status"] == "rejected"
    facts = [record["data"]["fact"]["id"] for record in tenant.in_topic("ingest.billing.v1")]
    assert list(dict.fromkeys(one for one in facts if one != "evt_1")) == [
        f"f-{number}" for number in range(20)
    ]
    assert "evt_1" in facts
    for message_id in (results[-1]["message_id"], "evt_1"):
        stands = wait_until(partial(outage.is_accepted, message_id), timeout_seconds=30)
        assert stands, tenant.receipt(message_id)


def test_events_are_taken_while_kafka_is_down_and_reach_it_in_order(outage: Spilling):
    sent: list[str] = []

    def send(number: int) -> float:
        started = time.monotonic()
        answer = outage.send(f"n{number}")
        assert answer.status_code == httpx.codes.OK, answer.text
        sent.append(f"n{number}")
        return time.monotonic() - started

    for number in range(20):
        send(number)
    outage.kill_kafka()
    first = send(20)
    later = max(send(number) for number in range(21, 120))
    spilled = outage.tenant.receipt("n60")
    is_spilling = bool(list(outage.segments()))
    outage.start_kafka()
    while list(outage.segments()) and len(sent) < 3000:
        send(len(sent))  # also while it drains
    for _ in range(20):
        send(len(sent))
    outage.await_drained()

    assert is_spilling
    assert first < 7
    assert later < 1
    assert (spilled["status"], spilled["topic"], spilled["offset"]) == ("spilled", USAGE, None)
    assert outage.in_topic() == sent
    wait_until(lambda: outage.tenant.receipt("n60")["status"] == "accepted", timeout_seconds=30)
    receipt = outage.tenant.receipt("n60")
    assert receipt["status"] == "accepted"
    assert receipt["partition"] == spilled["partition"]
    assert outage.metric("ingest_unaccounted_events") == 0


def test_killed_while_spilling_and_started_again_nothing_acknowledged_is_lost(outage: Spilling):
    acknowledged: list[str] = []
    outage.send("before")
    outage.kill_kafka()
    for number in range(40):
        if outage.send(*(f"k{number}-{n}" for n in range(25))).status_code == httpx.codes.OK:
            acknowledged += [f"k{number}-{n}" for n in range(25)]
    outage.ingest.kill()
    outage.ingest.start()
    wait_until(lambda: is_alive(outage.ingest), timeout_seconds=60)
    assert outage.send("while-down-after-restart").status_code == httpx.codes.OK
    outage.start_kafka()
    outage.await_drained()

    assert len(acknowledged) == 1000
    assert outage.in_topic() == ["before", *acknowledged, "while-down-after-restart"]


@pytest.mark.slow
def test_killed_while_draining_it_goes_on_where_it_was_or_before(outage: Spilling):
    filler = {"filler": "x" * 20_000}
    sent = [f"d{number}" for number in range(1500)]
    outage.send("before")
    outage.kill_kafka()
    for first in range(0, 1500, 15):
        answer = outage.send(*sent[first : first + 15], properties=filler)
        assert answer.status_code == httpx.codes.OK, answer.text
    files = len(list(outage.segments()))

    outage.start_kafka()
    wait_until(lambda: len(list(outage.segments())) < files, timeout_seconds=60)
    outage.ingest.kill()
    left = len(list(outage.segments()))
    outage.ingest.start()
    outage.ingest.wait_ready()
    outage.await_drained()

    assert 0 < left < files, "it was killed before or after the drain: nothing was tested"
    assert outage.in_topic() == ["before", *sent]


@pytest.mark.slow
def test_a_frozen_broker_costs_one_wait_and_no_event(outage: Spilling):
    process = outage.kafka.process(BROKER)
    assert process is not None
    outage.send("f0")
    os.kill(process.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        first = outage.send("f1")
        waited = time.monotonic() - started
        started = time.monotonic()
        later = [outage.send(f"f{number}").status_code for number in range(2, 20)]
        took = time.monotonic() - started
    finally:
        os.kill(process.pid, signal.SIGCONT)
    outage.await_drained()

    assert first.status_code == httpx.codes.OK, first.text
    assert waited < 7
    assert set(later) == {httpx.codes.OK}
    assert took < 6
    assert outage.in_topic() == [f"f{number}" for number in range(20)]


def test_a_broken_stretch_is_put_aside_and_shown_and_all_others_reach_kafka(outage: Spilling):
    outage.send("before")
    outage.kill_kafka()
    for number in range(6):
        outage.send(f"b{number}")
    outage.ingest.kill()
    (segment,) = outage.segments()
    content = bytearray(segment.read_bytes())
    content[content.index(b'"messageid":"b3"') + 14] ^= 0xFF
    segment.write_bytes(bytes(content) + content[: len(content) // 20])  # and a torn tail

    outage.ingest.start()
    wait_until(lambda: is_alive(outage.ingest), timeout_seconds=60)
    told = outage.dependency("spill")
    outage.start_kafka()
    outage.await_drained()

    assert "1 unreadable" in told
    assert outage.metric("ingest_spill_broken_frames_total") == 1
    assert b"default b3" in next(outage.files("broken")).read_bytes()
    assert outage.in_topic() == ["before", "b0", "b1", "b2", "b4", "b5"]


def is_alive(process: ServiceProcess) -> bool:
    try:
        return httpx.get(f"{process.url}/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_stopped_while_kafka_is_down_it_ends_in_time_and_leaves_nothing_behind(outage: Spilling):
    outage.send("a")
    outage.kill_kafka()
    assert outage.send("b").status_code == httpx.codes.OK

    started = time.monotonic()
    outage.ingest.terminate()
    took = time.monotonic() - started
    outage.start_kafka()
    outage.ingest.start()
    outage.ingest.wait_ready()
    outage.await_drained()

    assert took < 18
    assert outage.in_topic() == ["a", "b"]


def test_a_full_spill_refuses_in_time_and_heals_when_kafka_is_back(
    kafka: Kafka, stack: TemporaryStack, fresh_database: FreshDatabase, tmp_path: Path
):
    with spilling(
        kafka, stack, fresh_database("ingest"), tmp_path / "spill", INGEST_SPILL_BYTES="200000"
    ) as running:
        running.send("a")
        running.kill_kafka()
        accepted, refused, took = fill(running)
        told = running.dependency("spill")
        running.start_kafka()
        running.await_drained()
        wait_until(lambda: running.send("z").status_code == httpx.codes.OK, timeout_seconds=20)

        assert accepted
        assert (refused.status_code, refused.json()["code"]) == (503, "not_durable")
        assert int(refused.headers["retry-after"]) > 0
        assert took <= 2
        assert "200000 bytes" in told
        assert running.in_topic()[: len(accepted) + 1] == ["a", *accepted]


def test_without_a_spill_the_first_event_of_an_outage_is_refused_in_time(
    kafka: Kafka, stack: TemporaryStack, fresh_database: FreshDatabase
):
    with spilling(kafka, stack, fresh_database("ingest"), None) as running:
        taken = running.send("a")
        running.kill_kafka()
        started = time.monotonic()
        refused = running.send("b")
        took = time.monotonic() - started

        assert taken.status_code == httpx.codes.OK
        assert (refused.status_code, refused.json()["code"]) == (503, "not_durable")
        assert int(refused.headers["retry-after"]) > 0
        assert took <= 2


def fill(running: Spilling) -> tuple[list[str], httpx.Response, float]:
    """Send until it is refused: what was accepted, the refusal, and the seconds that took."""
    accepted: list[str] = []
    for number in range(2000):
        started = time.monotonic()
        answer = running.send(f"f{number}", properties={"filler": "x" * 20_000})
        if answer.status_code != httpx.codes.OK:
            return accepted, answer, time.monotonic() - started
        accepted.append(f"f{number}")
    raise AssertionError("it took everything")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mount = tmp_path / "tiny"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mount], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system here: {mounted.stderr.decode().strip()}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)


def test_a_full_disk_refuses_in_time_and_heals_when_there_is_space(
    kafka: Kafka, stack: TemporaryStack, fresh_database: FreshDatabase, tiny_disk: Path
):
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(3 * 1024 * 1024))
    with spilling(kafka, stack, fresh_database("ingest"), tiny_disk / "spill") as running:
        running.send("a")
        running.kill_kafka()
        accepted, refused, took = fill(running)
        told = running.dependency("spill")
        ballast.unlink()
        healed = wait_until(
            lambda: running.send("healed").status_code == httpx.codes.OK, timeout_seconds=10
        )
        running.start_kafka()
        running.await_drained()

        assert accepted
        assert (refused.status_code, refused.json()["code"]) == (503, "not_durable")
        assert int(refused.headers["retry-after"]) > 0
        assert took <= 2
        assert "disk" in told
        assert healed
        found = running.in_topic()
        assert [one for one in found if one in {"a", *accepted, "healed"}] == [
            "a",
            *accepted,
            "healed",
        ]


def test_a_second_process_on_the_same_directory_ends_with_one_line(outage: Spilling):
    second = ServiceProcess("ingest", outage.ingest.environment)
    second.start()
    try:
        ended = wait_until(lambda: not second.is_running(), timeout_seconds=60)

        assert ended
        lines = second.log.read_text().strip().splitlines()
        assert len(lines) == 1, lines
        assert "INGEST_SPILL_DIRECTORY" in lines[0]
        assert "held by another process" in lines[0]
    finally:
        second.terminate()
        second.port.release()


def test_a_spill_file_deleted_behind_its_back_shows_as_unaccounted(outage: Spilling):
    outage.send("a")
    outage.kill_kafka()
    outage.send(*(f"s{n}" for n in range(7)))
    before = outage.metric("ingest_unaccounted_events")

    for segment in outage.segments():
        segment.unlink()
    seen = wait_until(lambda: outage.metric("ingest_unaccounted_events") > 0, timeout_seconds=20)

    assert before == 0
    assert seen
    assert outage.metric("ingest_unaccounted_events") == 7
    assert outage.dependency("durability").startswith("7 acknowledged events")
    outage.start_kafka()


def test_a_log_that_ends_before_what_it_acknowledged_shows_as_unaccounted(outage: Spilling):
    outage.send(*(f"t{n}" for n in range(5)))
    wait_until(lambda: outage.tenant.receipt("t4")["status"] == "accepted", timeout_seconds=30)
    time.sleep(2)
    before = outage.metric("ingest_unaccounted_events")

    recreate(outage.kafka)
    seen = wait_until(lambda: outage.metric("ingest_unaccounted_events") > 0, timeout_seconds=60)

    assert before == 0
    assert seen, outage.ingest.last_lines()
    assert outage.dependency("durability") != "ok"


def recreate(kafka: Kafka) -> None:
    """Delete the topic of usage, and create it again, empty."""

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([USAGE])
        finally:
            await admin.close()

    ask(delete())
    time.sleep(1)
    contents.create_topics(kafka.bootstrap, 1)
