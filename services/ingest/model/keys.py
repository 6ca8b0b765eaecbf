"""API keys: `ms_<scope>_<id>_<secret><checksum>`, so that people and scanners can tell them."""

from zlib import crc32

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_BYTES = 8
SECRET_BYTES = 32
SECRET_CHARACTERS = 43  # of base 62 hold 256 bits
CHECKSUM_CHARACTERS = 6  # of base 62 hold 32 bits


def key_id(random: bytes) -> str:
    """Id of a key from 8 random bytes; it may be shown."""
    return _base62(random, 11)


def shown_prefix(scope: str, identity: str) -> str:
    """The part of a key that may be shown and logged."""
    return f"ms_{scope}_{identity}"


def new_key(scope: str, identity: str, random: bytes) -> str:
    """The key itself, from 32 random bytes: 256 bits that nobody can guess."""
    assert len(random) == SECRET_BYTES
    body = f"{shown_prefix(scope, identity)}_{_base62(random, SECRET_CHARACTERS)}"
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether `key` can be one of ours; a mistyped or made-up one costs no look-up."""
    body, checksum = key[:-CHECKSUM_CHARACTERS], key[-CHECKSUM_CHARACTERS:]
    return key.startswith("ms_") and key.isascii() and _checksum(body) == checksum


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()).to_bytes(4), CHECKSUM_CHARACTERS)


def _base62(value: bytes, characters: int) -> str:
    number, digits = int.from_bytes(value), []
    for _ in range(characters):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
