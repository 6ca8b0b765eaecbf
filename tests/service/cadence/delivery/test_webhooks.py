"""Webhooks to addresses that customers name: only public machines, in bounded time and room."""

import base64
import hmac
import json
import ssl
from collections.abc import Sequence
from hashlib import sha256

import pytest

from services.cadence.channels import outbound
from services.cadence.channels.outbound import Outbound
from tests.service.cadence.delivery.office import WORKSPACE, Office, provider, work
from tests.support.hooks import Hook, hook_server
from tests.support.smtp import MailServer

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests").decode()


def leading_to(*addresses: str) -> outbound.Resolve:
    """A resolver that knows one answer."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


async def target(office: Office, url: str, kind: str = "webhook") -> None:
    """Let the workspace's messages of that channel go to `url`."""
    await office.person()
    await office.execute(
        "INSERT INTO channel_target VALUES (:workspace, :kind, :url, :secrets)",
        workspace=WORKSPACE, kind=kind, url=url, secrets=[SECRET],
    )  # fmt: skip


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this machine count as public, at any port: what is tested is all the rest."""
    monkeypatch.setattr(outbound, "is_public", lambda _: True)
    monkeypatch.setattr(outbound, "PORTS", range(65_536))


def client(hook: Hook) -> Outbound:
    """An outbound that finds the hook under its name, and trusts its certificate."""
    trust = ssl.create_default_context(cafile=str(hook.certificate))
    return Outbound(resolver=leading_to("127.0.0.1"), trust=trust)


@pytest.mark.usefixtures("reachable")
async def test_a_webhook_is_signed_and_named_for_its_message(office: Office, mail: MailServer):
    with hook_server() as hook:
        await target(office, hook.url)
        identity = await office.plan(channels=["webhook"])
        await work(
            office.handover(provider(mail.port), outbound=client(hook)),
            office.until(identity, "accepted"),
        )

    (got,) = hook.got
    said = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    signature = hmac.new(b"a secret of the tests", said, sha256).digest()
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(signature).decode()}"
    assert json.loads(got.body)["data"]["message"] == identity


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize(
    ("act", "state"),
    [
        ("redirect", "rejected"),
        ("500", "rejected"),
        ("404", "rejected"),
        ("hang", "uncertain"),
        ("flood", "accepted"),
    ],
)
async def test_a_hostile_answer_ends_the_hand_over_in_bounded_time_and_room(
    office: Office, mail: MailServer, monkeypatch: pytest.MonkeyPatch, act: str, state: str
):
    monkeypatch.setattr(outbound, "SECONDS", 1.0)
    with hook_server(act) as hook:
        await target(office, hook.url)
        identity = await office.plan(channels=["webhook"])
        await work(
            office.handover(provider(mail.port), outbound=client(hook)),
            office.until(identity, state),
        )

    assert not hook.followed
    assert hook.sent_bytes < 64 * 1024 * 1024


async def test_a_name_that_leads_inside_ends_the_message_with_its_reason(
    office: Office, mail: MailServer
):
    await target(office, "https://hooks.example.com/x")
    identity = await office.plan(channels=["webhook"])
    away = Outbound(resolver=leading_to("10.0.0.1", "93.184.216.34"))

    row = await work(
        office.handover(provider(mail.port), outbound=away), office.until(identity, "rejected")
    )

    assert row.reason == "refused: target_forbidden"
