"""kill -9 at each state of a message, and workers that come back from the dead (drills 1, 2, 6)."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest

from deploy.local.waiting import wait_until
from services.cadence.model.delivery import State
from tests.service.cadence.delivery.office import Office
from tests.support.processes import ServiceProcess
from tests.support.smtp import Act, MailServer
from tests.support.stack import TemporaryStack

LEASE_SECONDS = 3.0
SECONDS = 30.0


@pytest.fixture
def told(stack: TemporaryStack, office: Office, mail: MailServer) -> Mapping[str, str]:
    """What a worker of this office is told."""
    url = office.database.engine.url.set(drivername="postgresql")
    return {
        "DATABASE_URL_CADENCE": url.render_as_string(hide_password=False),
        "CADENCE_SECRETS": "secret-of-tests-1",
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail.port),
        "CADENCE_LEASE_SECONDS": str(LEASE_SECONDS),
        "CADENCE_RETRY_WAITS_SECONDS": "[0.1, 0.1]",
        "CADENCE_LOG_LEVEL": "info",
    }


@pytest.fixture
def workers(told: Mapping[str, str]) -> Iterator[list[ServiceProcess]]:
    """Two workers, not started."""
    made = [ServiceProcess("cadence", told, ("--roles", "api,jobs")) for _ in range(2)]
    yield made
    for worker in made:
        worker.resume()
        worker.terminate()
        worker.port.release()


def await_got(mail: MailServer, address: str, letters: int) -> None:
    """Wait until so many letters came to an address."""
    wait_until(lambda: len(mail.got_by(address)) >= letters, timeout_seconds=SECONDS)


def await_tries(mail: MailServer, address: str, tries: int) -> None:
    """Wait until so many tries were made to deliver to an address."""
    wait_until(lambda: mail.tries.count(address) >= tries, timeout_seconds=SECONDS)


async def test_a_worker_killed_before_the_letter_leaves_it_to_the_next_one(
    office: Office, mail: MailServer, workers: list[ServiceProcess]
):
    address = await office.person()
    mail.will(address, Act.STALL_AT_RCPT)
    identity = await office.plan()

    workers[0].start()
    await_tries(mail, address, 1)
    claimed = (await office.state(identity)).state
    workers[0].kill()
    workers[1].start()
    row = await office.until(identity, "accepted", seconds=SECONDS)

    assert claimed == State.CLAIMED
    assert len(mail.got_by(address)) == 1
    assert row.attempt == 2


async def test_a_worker_killed_after_the_letter_leaves_a_weekly_message_uncertain(
    office: Office, mail: MailServer, workers: list[ServiceProcess]
):
    address = await office.person()
    mail.will(address, Act.SILENT_AFTER_DATA)
    identity = await office.plan()

    workers[0].start()
    await_got(mail, address, 1)
    workers[0].kill()
    workers[1].start()
    await office.until(identity, "uncertain", seconds=SECONDS)
    await asyncio.sleep(1.0)

    assert len(mail.got_by(address)) == 1
    assert (await office.state(identity)).state == "uncertain"


async def test_a_worker_killed_after_the_letter_of_a_renewal_leads_to_one_more_with_the_same_id(
    office: Office, mail: MailServer, workers: list[ServiceProcess]
):
    address = await office.person()
    mail.will(address, Act.SILENT_AFTER_DATA)
    identity = await office.plan(
        purpose="renewal", template="renewal-notice", facts='{"renews_on": "2026-04-01"}'
    )

    workers[0].start()
    await_got(mail, address, 1)
    workers[0].kill()
    workers[1].start()
    await office.until(identity, "accepted", seconds=SECONDS)

    first, second = mail.got_by(address)
    assert first.message_id == second.message_id
    assert first.wire == second.wire


async def test_a_worker_that_was_frozen_before_the_letter_sends_nothing_when_it_wakes(
    office: Office, mail: MailServer, workers: list[ServiceProcess]
):
    address = await office.person()
    mail.will(address, Act.STALL_AT_RCPT)
    identity = await office.plan()

    workers[0].start()
    await_tries(mail, address, 1)
    workers[0].pause()
    workers[1].start()
    await office.until(identity, "accepted", seconds=SECONDS)
    mail.release()
    workers[0].resume()
    await asyncio.sleep(2.0)

    assert len(mail.got_by(address)) == 1
    assert (await office.state(identity)).state == "accepted"
