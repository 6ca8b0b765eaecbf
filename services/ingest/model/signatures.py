"""Whether a webhook was signed by who holds one of the workspace's secrets, and just now.

Over the bytes as they came, before anything reads them. Every listed secret is valid, so that one
can be replaced by the next.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar

from services.ingest.model.refusals import RequestRefused

TOLERANCE = timedelta(seconds=300)  # on either side of now: older is a replay, newer was never sent
PACKED = "whsec_"
MOST_SIGNATURES = 20  # a sender has one for each of a few secrets


class InvalidSignature(RequestRefused):
    """The signature is missing, wrong, or of another time."""

    code: ClassVar[str] = "invalid_signature"


def check_stripe(header: str, body: bytes, secrets: Sequence[str], *, now: datetime) -> None:
    """Raise InvalidSignature unless one `v1` of the header is of `body` and one of `secrets`.

    The key is the whole secret, its `whsec_` included; other schemes than v1 are passed over.
    """
    pairs = [pair.strip().partition("=")[::2] for pair in header.split(",")]
    said_at = next((value for name, value in pairs if name == "t"), "")
    signatures = [value for name, value in pairs if name == "v1"]
    _check_recent(said_at, now)
    message = said_at.encode() + b"." + body
    expected = [hmac.new(key.encode(), message, sha256).hexdigest() for key in secrets]
    _check_any(signatures, expected)


def check_standard(
    message_id: str,
    timestamp: str,
    header: str,
    body: bytes,
    secrets: Sequence[str],
    *,
    now: datetime,
) -> None:
    """Raise InvalidSignature unless one `v1` of the header is of the message and one of `secrets`.

    As Standard Webhooks has it: what is signed is `<id>.<timestamp>.<body>`, the key is what the
    secret holds in base64.
    """
    if not message_id:
        raise InvalidSignature("the header webhook-id is missing")
    _check_recent(timestamp, now)
    pairs = [signature.partition(",")[::2] for signature in header.split()]
    signatures = [value for name, value in pairs if name == "v1"]
    message = message_id.encode("latin-1") + b"." + timestamp.encode() + b"." + body
    expected = [
        base64.b64encode(hmac.new(_standard_key(secret), message, sha256).digest()).decode()
        for secret in secrets
    ]
    _check_any(signatures, expected)


def _check_recent(said_at: str, now: datetime) -> None:
    if not (said_at.isascii() and said_at.isdigit()) or len(said_at) > len("253402300799"):
        raise InvalidSignature("the signature names no time")
    age_seconds = abs(now.timestamp() - int(said_at))
    if age_seconds > TOLERANCE.total_seconds():
        raise InvalidSignature(f"the signature is {age_seconds:.0f} s away from now, 300 at most")


def _check_any(signatures: Sequence[str], expected: Iterable[str]) -> None:
    given = [signature.encode("latin-1", "replace") for signature in signatures[:MOST_SIGNATURES]]
    # No early end: how long it takes must not tell which of them came near.
    matches = [
        hmac.compare_digest(right.encode(), signature) for right in expected for signature in given
    ]
    if not any(matches):
        raise InvalidSignature(
            "no signature of the header is of this body and of a secret of this workspace"
        )


def _standard_key(secret: str) -> bytes:
    text = secret.removeprefix(PACKED)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()  # a sender that did not pack its secret signs with the text itself
