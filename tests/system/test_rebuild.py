"""A rebuild beside the running service: the same tables, and nobody notices."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.layout import ROOT
from deploy.local.waiting import wait_until
from tests.support.killed_rebuild import MOMENTS
from tests.support.mainstay import Mainstay, Tenant, track
from tests.support.processes import ServiceProcess
from tests.support.rebuilding import (
    SECONDS,
    ask_database,
    begin_rebuild,
    end_rebuild,
    rebuild,
)

NOW = datetime.now(UTC)
ACCOUNTS = 7


def mixed_use(mainstay: Mainstay, tenant: Tenant) -> None:
    """Use, repeats, late and historic events, people, accounts, refusals, other settings."""
    events = [
        track(f"m{n}", account=f"a{n % ACCOUNTS}", user=f"u{n % 5}", at=NOW - timedelta(hours=n))
        for n in range(200)
    ]
    mainstay.send(tenant, events)
    mainstay.send(tenant, events[:50])
    said = {"userId": "u1", "traits": {"name": "Acme", "role": "admin"}}
    mainstay.send(
        tenant,
        [
            {"type": "identify", "messageId": "p1", **said},
            {"type": "group", "messageId": "g1", "groupId": "a1", **said},
            {"type": "track", "messageId": "no-event", "userId": "u1"},
        ],
    )
    mainstay.http.patch(
        f"{mainstay.ingest.url}/v1/workspaces/{tenant.workspace}",
        headers={"authorization": f"Bearer {tenant.manage}"},
        json={"silence_days": 30},
    ).raise_for_status()
    withdraw_key(mainstay, tenant)
    history = [
        track(f"h{n}", account=f"a{n % ACCOUNTS}", at=NOW - timedelta(days=n)) for n in range(100)
    ]
    mainstay.send(tenant, history, path="/v1/import")
    mainstay.send(tenant, [track("m3", account="a3", at=NOW)], path="/v1/import")
    mainstay.send(tenant, [track("late", account="a2", at=NOW - timedelta(days=300))])
    mainstay.await_applied(tenant, "late")
    mainstay.await_applied(tenant, "h99")


def withdraw_key(mainstay: Mainstay, tenant: Tenant) -> None:
    """Make a key and withdraw it."""
    keys = f"{mainstay.ingest.url}/v1/workspaces/{tenant.workspace}/keys"
    headers = {"authorization": f"Bearer {tenant.manage}"}
    made = mainstay.http.post(keys, headers=headers, json={"scope": "read"})
    assert made.is_success, made.text
    withdrawn = mainstay.http.delete(f"{keys}/{made.json()['key_id']}", headers=headers)
    assert withdrawn.is_success, withdrawn.text


def break_record(mainstay: Mainstay, tenant: Tenant) -> None:
    """Put a record that is no event into a topic that both services read."""

    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=mainstay.health.environment["KAFKA_BOOTSTRAP"]
        )
        await producer.start()
        try:
            key = f"{tenant.workspace}/a1".encode()
            await producer.send_and_wait("ingest.accounts.v1", b"{no event", key=key)
        finally:
            await producer.stop()

    asyncio.run(send())
    for service in (mainstay.health, mainstay.ingest):
        given_up = wait_until(partial(has_letter, service, tenant), timeout_seconds=30)
        assert given_up, service.last_lines()


def has_letter(service: ServiceProcess, tenant: Tenant) -> bool:
    sql = "SELECT 1 FROM dead_letter WHERE workspace = $1"
    return bool(ask_database(service, sql, tenant.workspace))


def exist(service: ServiceProcess, like: str) -> bool:
    """Whether the service's database has such a schema."""
    sql = "SELECT 1 FROM pg_namespace WHERE nspname LIKE $1"
    return bool(ask_database(service, sql, f"{service.name}\\_{like}"))


def oid(service: ServiceProcess) -> int:
    """Which table now bears the name: another one after a swap."""
    found: int = ask_database(service, "SELECT 'consumer_offset'::regclass::oid AS oid")[0]["oid"]
    return found


@pytest.mark.parametrize("name", ["health", "ingest"])
def test_a_rebuilt_service_equals_the_live_one(mainstay: Mainstay, name: str):
    tenant = mainstay.new_tenant()
    mixed_use(mainstay, tenant)
    break_record(mainstay, tenant)
    service = getattr(mainstay, name)
    letters = ask_database(service, "SELECT * FROM dead_letter ORDER BY id")

    ended = rebuild(service)

    assert ended.status == 0, ended.said + ended.complained
    assert "DIFFERS" not in ended.said
    assert ask_database(service, "SELECT * FROM dead_letter ORDER BY id") == letters
    assert exist(service, "retired%")
    assert not exist(service, "shadow")


# --- under traffic ------------------------------------------------------------------------------


@dataclass
class Traffic:
    """Events that are sent and accounts that are asked for, until stopped."""

    mainstay: Mainstay
    tenant: Tenant
    stopping: threading.Event = field(default_factory=threading.Event)
    sent: Counter[str] = field(default_factory=Counter)
    last: str = ""
    reads: int = 0
    failed: list[str] = field(default_factory=list)

    def send(self) -> None:
        with httpx.Client(timeout=30, trust_env=False) as http:
            for batch in count():
                if self.stopping.is_set():
                    return
                events = [
                    track(f"t{batch}-{n}", account=f"a{n % ACCOUNTS}", user=f"u{n}", at=NOW)
                    for n in range(20)
                ]
                answer = http.post(
                    f"{self.mainstay.ingest.url}/v1/batch",
                    auth=(self.tenant.write, ""),
                    json={"batch": events},
                )
                if not answer.is_success:
                    self.failed.append(f"{answer.status_code} {answer.text}")
                    continue
                self.sent.update(event["context"]["groupId"] for event in events)
                self.last = events[-1]["messageId"]

    def read(self) -> None:
        headers = {"authorization": f"Bearer {self.tenant.read}"}
        with httpx.Client(timeout=30, trust_env=False, headers=headers) as http:
            while not self.stopping.is_set():
                for path in ("/v1/accounts", "/v1/accounts/a1", "/v1/scores"):
                    answer = http.get(
                        f"{self.mainstay.health.url}{path}", params={"as_of": NOW.isoformat()}
                    )
                    self.reads += 1
                    if not answer.is_success:
                        self.failed.append(f"{path}: {answer.status_code} {answer.text}")


@contextmanager
def traffic(mainstay: Mainstay, tenant: Tenant) -> Iterator[Traffic]:
    running = Traffic(mainstay, tenant)
    threads = [threading.Thread(target=work) for work in (running.send, running.read)]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.stopping.set()
        for thread in threads:
            thread.join()


def counted(service: ServiceProcess, tenant: Tenant) -> Counter[str]:
    """Events of each account, as the live tables count them."""
    found = ask_database(
        service,
        "SELECT a.account, sum(d.events)::bigint AS events FROM account a JOIN account_day d"
        " ON d.workspace = a.workspace AND d.account = a.number"
        " WHERE a.workspace = $1 GROUP BY 1",
        tenant.workspace,
    )
    return Counter({row["account"]: row["events"] for row in found})


def test_swaps_under_traffic_lose_nothing_double_nothing_and_fail_no_request(mainstay: Mainstay):
    tenant = mainstay.new_tenant()
    process = mainstay.health.process
    mainstay.send(tenant, [track("first", account="a1", at=NOW)])
    mainstay.await_applied(tenant, "first")

    with traffic(mainstay, tenant) as running:
        ended = [
            rebuild(service) for service in (mainstay.health, mainstay.ingest, mainstay.health)
        ]
    mainstay.await_applied(tenant, running.last)

    assert [one.status for one in ended] == [0, 0, 0], [(e.said, e.complained) for e in ended]
    assert running.failed == []
    assert running.reads > 50
    assert counted(mainstay.health, tenant) == running.sent + Counter({"a1": 1})
    assert mainstay.health.process == process, "the live service was restarted"
    assert mainstay.health.is_running()


# --- differences --------------------------------------------------------------------------------


def test_a_table_that_was_tampered_with_is_found_and_nothing_is_swapped(mainstay: Mainstay):
    tenant = mainstay.new_tenant()
    mixed_use(mainstay, tenant)
    right = counted(mainstay.health, tenant)
    ask_database(
        mainstay.health,
        "UPDATE account_day SET events = events + 5 WHERE (workspace, account, day) ="
        " (SELECT workspace, account, day FROM account_day WHERE workspace = $1 LIMIT 1)",
        tenant.workspace,
    )
    wrong = counted(mainstay.health, tenant)

    found = rebuild(mainstay.health)

    assert found.status == 1, found.said + found.complained
    assert "rebuild: tables_differ: account_day;" in found.complained
    assert found.said.count("DIFFERS") == 1
    assert tenant.workspace in found.said
    assert counted(mainstay.health, tenant) == wrong != right

    accepted = rebuild(mainstay.health, "--accept-differences")

    assert accepted.status == 0, accepted.said + accepted.complained
    assert counted(mainstay.health, tenant) == right


def test_a_dry_run_compares_and_swaps_nothing(mainstay: Mainstay):
    before = oid(mainstay.health)

    ended = rebuild(mainstay.health, "--dry-run")

    assert ended.status == 0, ended.said + ended.complained
    assert oid(mainstay.health) == before


# --- the end of a rebuild -----------------------------------------------------------------------


# Two of the moments in every run, all of them in the long one.
KILLED = [
    moment if moment in ("folding", "renamed") else pytest.param(moment, marks=pytest.mark.slow)
    for moment in MOMENTS
]


@pytest.mark.parametrize("moment", KILLED)
def test_a_rebuild_that_is_killed_leaves_the_live_service_as_it_was(
    mainstay: Mainstay, moment: str
):
    tenant = mainstay.new_tenant()
    mixed_use(mainstay, tenant)
    before = counted(mainstay.health, tenant)
    table = oid(mainstay.health)

    killed = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_rebuild", "health", moment],
        env={**os.environ, **mainstay.health.environment},
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    mainstay.send(tenant, [track("after", account="a1", at=NOW)])
    mainstay.await_applied(tenant, "after")

    assert killed.returncode == -9, killed.stdout + killed.stderr
    assert oid(mainstay.health) == table
    assert counted(mainstay.health, tenant) == before + Counter({"a1": 1})
    again = rebuild(mainstay.health, *(["--resume"] if moment != "prepared" else []))
    assert again.status == 0, again.said + again.complained


def is_rebuilding(service: ServiceProcess) -> bool:
    locks = "SELECT 1 FROM pg_locks WHERE granted AND classid = hashtext('rebuild')::oid"
    return bool(ask_database(service, locks))


def test_second_rebuild_at_the_same_time_ends_with_one_clear_line(mainstay: Mainstay):
    first = begin_rebuild(mainstay.health)
    try:
        wait_until(lambda: is_rebuilding(mainstay.health), timeout_seconds=30)
        first.send_signal(signal.SIGSTOP)  # or it might have ended before the second begins
        second = rebuild(mainstay.health)
    finally:
        first.send_signal(signal.SIGCONT)
        ended = end_rebuild(first)

    assert second.status == 3
    assert second.complained == "rebuild: rebuild_runs: another rebuild of health is running\n"
    assert ended.status == 0, ended.said + ended.complained


def test_the_retired_tables_can_be_returned_to_and_fold_what_came_since(mainstay: Mainstay):
    tenant = mainstay.new_tenant()
    mixed_use(mainstay, tenant)
    before = counted(mainstay.health, tenant)
    ended = rebuild(mainstay.health)
    assert ended.status == 0, ended.said + ended.complained
    retired = ended.said.split("stand in ")[1].split()[0]
    mainstay.send(tenant, [track("since", account="a1", at=NOW)])
    mainstay.await_applied(tenant, "since")

    back = rebuild(mainstay.health, "--return-to", retired)
    mainstay.send(tenant, [track("then", account="a1", at=NOW)])
    mainstay.await_applied(tenant, "then")

    assert back.status == 0, back.said + back.complained
    wait_until(
        lambda: counted(mainstay.health, tenant) == before + Counter({"a1": 2}), timeout_seconds=20
    )
    assert counted(mainstay.health, tenant) == before + Counter({"a1": 2})


def test_retired_tables_are_dropped_when_asked_for(mainstay: Mainstay):
    assert rebuild(mainstay.health).status == 0

    ended = rebuild(mainstay.health, "--drop-retired")

    assert ended.status == 0, ended.complained
    assert ended.said.startswith("dropped health_retired_")
    assert not exist(mainstay.health, "retired%")
