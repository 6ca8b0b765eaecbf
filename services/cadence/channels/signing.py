"""DKIM: the domain's word that a letter is its own, unchanged, one-click headers included.

dkimpy's canonicalisation, signed by OpenSSL: its own RSA is pure Python and takes 25 times as long.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dkim import RE_BTAG, fold, rfc822_parse, select_headers
from dkim.canonicalization import Relaxed

SIGNED = (
    b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"mime-version",
    b"content-type", b"list-id", b"list-unsubscribe", b"list-unsubscribe-post",
)  # fmt: skip
NAME = b"DKIM-Signature"


class Signer(Protocol):
    """Puts a signature at the head of a letter."""

    def signed(self, letter: bytes, *, at: int) -> bytes:
        """The letter with its signature; `at` in seconds since the epoch."""
        ...


@dataclass(frozen=True)
class Dkim:
    """Signs for one domain with one key, found in the DNS under `selector`."""

    domain: str
    selector: str
    key: RSAPrivateKey

    @classmethod
    def of_pem(cls, domain: str, selector: str, pem: str) -> "Dkim":
        """Raises ValueError where the text is no key, TypeError for one that is not RSA."""
        key = load_pem_private_key(pem.encode(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise TypeError("the DKIM key is no RSA key")
        return cls(domain, selector, key)

    def signed(self, letter: bytes, *, at: int) -> bytes:
        """The letter with its signature: relaxed/relaxed, rsa-sha256.

        Every signed header is named once more than it stands, so that none can be added.
        """
        headers, body = rfc822_parse(letter)
        present = [name for name in SIGNED if any(found.lower() == name for found, _ in headers)]
        named = sorted([*present, *present])
        body_hash = base64.b64encode(hashlib.sha256(Relaxed.canonicalize_body(body)).digest())
        fields = self._fields(named, body_hash, at)
        unsigned = (NAME, b" " + RE_BTAG.sub(b"\\1", _joined([*fields, (b"b", b"")])))
        signature = self.key.sign(_canonical(headers, named, unsigned), PKCS1v15(), hashes.SHA256())
        value = _joined([*fields, (b"b", base64.b64encode(signature))])
        folded: bytes = fold(value, namelen=len(NAME) + 2)
        return NAME + b": " + folded.rstrip() + b"\r\n" + letter

    def _fields(self, named: list[bytes], body_hash: bytes, at: int) -> list[tuple[bytes, bytes]]:
        return [
            (b"v", b"1"),
            (b"a", b"rsa-sha256"),
            (b"c", b"relaxed/relaxed"),
            (b"d", self.domain.encode()),
            (b"s", self.selector.encode()),
            (b"t", str(at).encode()),
            (b"h", b" : ".join(named)),
            (b"bh", body_hash),
        ]


def _joined(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"; ".join(name + b"=" + value for name, value in fields)


def _canonical(
    headers: list[list[bytes]], named: list[bytes], unsigned: tuple[bytes, bytes]
) -> bytes:
    """What is signed (RFC 6376 3.7): the headers named, then the signature's own without value."""
    relaxed = Relaxed.canonicalize_headers(headers)
    own = Relaxed.canonicalize_headers([unsigned])
    chosen = select_headers(relaxed, named)
    lines = [name + b":" + value for name, value in chosen]
    signature: bytes = own[0][0] + b":" + own[0][1].rstrip()
    return b"".join(lines) + signature
