"""The whole service as a process: people in by Kafka, a wave out, an answer in, and it is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from deploy.local.waiting import ask, wait_until
from shared.auth import hashed
from shared.events.ingest import KeyIssued, UserIdentified, WorkspaceConfigured
from shared.events.nps import SURVEYS
from tests.support.processes import ServiceProcess
from tests.support.rebuilding import ask_database, rebuild
from tests.support.stack import TemporaryStack
from tests.support.topics import publish_events, read_topic
from tests.unit.health.builders import received

SECONDS = 60.0


@pytest.fixture
def nps(stack: TemporaryStack) -> Iterator[ServiceProcess]:
    """The running service on tables of its own."""
    url = stack.fresh_database("nps")
    environment = {"DATABASE_URL_NPS": url, "KAFKA_BOOTSTRAP": stack.kafka_bootstrap}
    with ServiceProcess("nps", environment) as running:
        yield running
    stack.drop_database("nps", url)


def begin(stack: TemporaryStack, workspace: str, key: str) -> None:
    """Tell of a workspace, its key, and a person who signed up long ago."""
    told = (
        WorkspaceConfigured(
            id=workspace,
            name=workspace,
            time_zone="Asia/Seoul",
            reporting_currency="KRW",
            locale="ko",
        ),
        KeyIssued(
            key_id=f"k-{workspace}", prefix="k", sha256=hashed(key), scopes=["manage"], source="x"
        ),
        UserIdentified(user="u-1", signed_up_at=datetime(2025, 6, 1, tzinfo=UTC)),
    )
    now = datetime.now(UTC)
    ask(
        publish_events(
            stack.kafka_bootstrap, [received(each, now, workspace=workspace) for each in told]
        )
    )


def test_a_wave_asks_an_answer_is_told_and_a_rebuild_asks_nobody_again(
    stack: TemporaryStack, nps: ServiceProcess
):
    workspace = f"t-{uuid4().hex[:12]}"
    key = f"secret of {workspace}"
    authorized = {"authorization": f"Bearer {key}"}
    begin(stack, workspace, key)

    def told(kind: str) -> list[Any]:
        found = ask(read_topic(stack.kafka_bootstrap, SURVEYS.name))
        return [
            event["data"]
            for event in found
            if event["workspace"] == workspace and event["type"] == f"nps.{kind}.v1"
        ]

    def is_known() -> bool:
        person = "SELECT 1 FROM person WHERE workspace = $1"
        answer = httpx.get(f"{nps.url}/v1/waves", headers=authorized)
        return answer.is_success and bool(ask_database(nps, person, workspace))

    assert wait_until(is_known, timeout_seconds=SECONDS), nps.last_lines()
    closes_at = (datetime.now(UTC) + timedelta(days=14)).isoformat()
    opened = httpx.post(
        f"{nps.url}/v1/waves", headers=authorized, json={"wave": "q1", "closes_at": closes_at}
    )
    assert opened.status_code == httpx.codes.CREATED, opened.text
    assert wait_until(lambda: len(told("invitation_requested")) == 1, timeout_seconds=SECONDS), (
        nps.last_lines()
    )
    (request,) = told("invitation_requested")
    answered = httpx.post(
        f"{nps.url}{urlsplit(request['url']).path}", data={"score": "9", "comment": "고마워요"}
    )
    assert answered.status_code == httpx.codes.OK, answered.text
    assert wait_until(lambda: len(told("answered")) == 1, timeout_seconds=SECONDS)

    swapped = rebuild(nps)

    assert swapped.status == 0, swapped.said + swapped.complained
    nps.terminate()
    nps.start()
    nps.wait_ready()
    summary = httpx.get(f"{nps.url}/v1/waves/q1", headers=authorized).json()
    assert summary["counts"]["promoter"] == 1
    assert (len(told("invitation_requested")), len(told("answered"))) == (1, 1)
