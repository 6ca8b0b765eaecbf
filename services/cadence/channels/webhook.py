"""A message as a webhook: in the form of Standard Webhooks, or as Slack's incoming ones want it."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from services.cadence.channels.outbound import ForbiddenTarget, Outbound, Silent
from services.cadence.model.delivery import Ended, Outcome

PACKED = "whsec_"
FIRST_REFUSED, FIRST_SERVER_FAULT, TOO_MANY, TIMED_OUT = 300, 500, 429, 408
SLACK_CHARACTERS = 3_000


def signed_headers(
    identifier: str, body: bytes, secrets: Sequence[str], *, at: datetime
) -> dict[str, str]:
    """The headers of a Standard Webhook: one signature for each secret, so that they can rotate."""
    stamp = str(int(at.timestamp()))
    message = f"{identifier}.{stamp}.".encode() + body
    signatures = [
        base64.b64encode(hmac.new(_key(secret), message, sha256).digest()).decode()
        for secret in secrets
    ]
    return {
        "content-type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def standard_body(said: Mapping[str, Any], *, at: datetime) -> bytes:
    """What a Standard Webhook of a message says."""
    return msgspec.json.encode(
        {"type": "message.due", "timestamp": at.isoformat(), "data": dict(said)}
    )


def slack_body(title: str, text: str) -> bytes:
    """The message as Slack shows it. What people are called cannot mention or link anybody."""
    plain = f"{title}\n{text}"[:SLACK_CHARACTERS]
    quoted = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return msgspec.json.encode({"text": quoted, "mrkdwn": False})


async def send(
    outbound: Outbound, url: str, body: bytes, headers: Mapping[str, str], *, provider: str
) -> Ended:
    """How it ended. A redirect is a refusal: where it points was never looked at."""

    def ended(outcome: Outcome, said: str) -> Ended:
        return Ended(outcome=outcome, provider=provider, said=said)

    try:
        answer = await outbound.post(url, body, headers)
    except ForbiddenTarget as error:
        return ended(Outcome.REFUSED, error.code)
    except Silent as silence:
        return ended(Outcome.UNKNOWN if silence.was_sent else Outcome.REFUSED_FOR_NOW, str(silence))
    if answer.status < FIRST_REFUSED:
        return ended(Outcome.ACCEPTED, str(answer.status))
    if answer.status >= FIRST_SERVER_FAULT or answer.status in (TOO_MANY, TIMED_OUT):
        return ended(Outcome.REFUSED_FOR_NOW, str(answer.status))
    return ended(Outcome.REFUSED, str(answer.status))


def _key(secret: str) -> bytes:
    text = secret.removeprefix(PACKED)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
