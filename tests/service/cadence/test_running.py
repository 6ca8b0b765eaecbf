"""The whole service as a process: events in by Kafka, a letter out by SMTP, and it is told."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from deploy.local.waiting import ask, wait_until
from shared.events.base import Event
from shared.events.cadence import DELIVERIES
from shared.events.ingest import UsageTracked, UserConsentChanged, UserIdentified
from shared.events.metrics import MovementRecorded
from tests.support.processes import ServiceProcess
from tests.support.rebuilding import ask_database, rebuild
from tests.support.smtp import MailServer, mail_server
from tests.support.stack import TemporaryStack
from tests.support.topics import publish_events, read_topic
from tests.unit.health.builders import received

SECONDS = 60.0


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server that takes everything."""
    with mail_server() as server:
        yield server


@pytest.fixture
def cadence(stack: TemporaryStack, mail: MailServer) -> Iterator[ServiceProcess]:
    """The running service on tables of its own."""
    url = stack.fresh_database("cadence")
    environment = {
        "DATABASE_URL_CADENCE": url,
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "CADENCE_SECRETS": "secret-of-tests-1",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail.port),
    }
    with ServiceProcess("cadence", environment) as running:
        yield running
    stack.drop_database("cadence", url)


class Tenant:
    """A workspace of its own, and the person of it."""

    def __init__(self, stack: TemporaryStack) -> None:
        self.workspace = f"t-{uuid4().hex[:12]}"
        self.user = f"u-{uuid4().hex[:12]}"
        self.address = f"{self.user}@example.com"
        self.stack = stack

    def send(self, *events: Event) -> None:
        """Publish the events, as of now."""
        now = datetime.now(UTC)
        ask(
            publish_events(
                self.stack.kafka_bootstrap,
                [received(event, now, workspace=self.workspace) for event in events],
            )
        )

    def signs_up(self) -> None:
        """The person signs up."""
        personal = msgspec.Raw(msgspec.json.encode({"email": self.address, "name": "Kim"}))
        self.send(UserIdentified(user=self.user, personal=personal, time_zone="Asia/Seoul"))

    def told(self) -> list[str]:
        """What was published of the person's messages."""
        found = ask(read_topic(self.stack.kafka_bootstrap, DELIVERIES.name))
        return [
            event["type"].removeprefix("cadence.").removesuffix(".v1")
            for event in found
            if event["workspace"] == self.workspace
        ]


@pytest.fixture
def tenant(stack: TemporaryStack) -> Tenant:
    """A workspace of its own for this test."""
    return Tenant(stack)


def test_who_signs_up_gets_a_letter_and_a_rebuild_sends_no_second_one(
    tenant: Tenant, cadence: ServiceProcess, mail: MailServer
):
    tenant.signs_up()
    tenant.send(
        MovementRecorded(
            movement="m",
            at=datetime.now(UTC),
            kind="new",
            amount=Decimal(5000),
            mrr=Decimal(5000),
            facts=["f"],
            policy_version=1,
        ),
        UserConsentChanged(user=tenant.user, about="newsletter", granted=False),
        UsageTracked(user=tenant.user, event="Export", feature="reports"),
    )
    assert wait_until(lambda: len(mail.got_by(tenant.address)) == 1, timeout_seconds=SECONDS), (
        cadence.last_lines()
    )
    expected = ["anchor_set", "delivery_handed_over", "delivery_accepted"]
    assert wait_until(lambda: tenant.told() == expected, timeout_seconds=SECONDS), tenant.told()
    planned = "SELECT identity, state FROM message WHERE workspace = $1 ORDER BY identity"
    # Who pays needs no guide to paying, whichever of the two events came first.
    assert wait_until(
        lambda: len(ask_database(cadence, planned, tenant.workspace)) == 2, timeout_seconds=SECONDS
    )
    before = ask_database(cadence, planned, tenant.workspace)

    swapped = rebuild(cadence)

    assert swapped.status == 0, swapped.said + swapped.complained
    cadence.terminate()
    cadence.start()
    cadence.wait_ready()
    assert ask_database(cadence, planned, tenant.workspace) == before
    (used,) = ask_database(
        cadence, "SELECT times FROM feature_use WHERE workspace = $1", tenant.workspace
    )
    assert used["times"] == 1
    assert len(mail.got_by(tenant.address)) == 1
