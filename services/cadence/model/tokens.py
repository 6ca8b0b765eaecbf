"""What a public address carries: names that nobody can guess, and words that nobody can forge."""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import ClassVar, NamedTuple

import msgspec
from itsdangerous import BadSignature, URLSafeSerializer

from shared.errors import DomainError

UNSUBSCRIBE = "cadence.unsubscribe"
NAME_BYTES = 16


class TokenInvalid(DomainError):
    """A token that none of our secrets has signed for this purpose."""

    code: ClassVar[str] = "token_invalid"
    status: ClassVar[int] = 404


class Unsubscription(NamedTuple):
    """Who, reached by which message, would unsubscribe from what. Never expires."""

    workspace: str
    identity: str
    user: str
    topic: str


def opaque(secret: str, purpose: str, *parts: str) -> str:
    """A name of 22 letters, digits, - and _ for these parts: the same each time, not guessable.

    HMAC-SHA256 under a key of its own for each purpose, cut to 128 bits.
    """
    key = hmac.new(secret.encode(), purpose.encode(), sha256).digest()
    message = "".join(f"{len(part)}:{part}" for part in parts).encode()
    digest = hmac.new(key, message, sha256).digest()[:NAME_BYTES]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def unsubscribe_token(secrets: Sequence[str], said: Unsubscription) -> str:
    """What stands in the address of `/u/`; signed with the newest, the last secret."""
    token = _signer(secrets).dumps(list(said))
    return token if isinstance(token, str) else token.decode()


def read_unsubscribe_token(secrets: Sequence[str], token: str) -> Unsubscription:
    """What the token says. Raises TokenInvalid unless one of `secrets` has signed it for this."""
    try:
        said = _signer(secrets).loads(token)
        return msgspec.convert(said, Unsubscription)
    except (BadSignature, msgspec.ValidationError) as error:
        raise TokenInvalid("this address is not one that we have sent") from error


def _signer(secrets: Sequence[str]) -> URLSafeSerializer:
    return URLSafeSerializer(
        list(secrets),
        salt=UNSUBSCRIBE,
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )
