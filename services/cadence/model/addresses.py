"""Whose mailbox a text names: exactly one, or none. Nothing that could carry a second header."""

import hashlib
import re
import unicodedata
from typing import ClassVar

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from shared.errors import PermanentError

MOST_CHARACTERS = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets with its angle brackets
MOST_LOCAL_CHARACTERS = 64  # RFC 5321 4.5.3.1.1
MOST_NAME_CHARACTERS = 120  # of a display name; longer ones are cut
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


class AddressUnusable(PermanentError):
    """No single mailbox that a message could be sent to."""

    code: ClassVar[str] = "address_unusable"


def mailbox(text: str) -> str:
    """The one address that `text` is, its domain in the ASCII form that SMTP wants.

    Raises AddressUnusable for two addresses, a display name, control characters, parts that are
    too long, and local parts outside ASCII, which few servers take.
    """
    if len(text) > MOST_CHARACTERS or UNSEEN.search(text):
        raise AddressUnusable("an address is too long, or has control characters")
    try:
        checked: ValidatedEmail = validate_email(
            text.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True
        )
    except EmailNotValidError as error:
        raise AddressUnusable("the text is not exactly one address") from error
    if checked.ascii_email is None or len(checked.local_part) > MOST_LOCAL_CHARACTERS:
        raise AddressUnusable("the local part is outside ASCII, or too long")
    return checked.ascii_email


def address_hash(workspace: str, address: str) -> bytes:
    """What suppression knows an address by: SHA-256 within one workspace, letter case aside."""
    return hashlib.sha256(f"{workspace}\n{address.casefold()}".encode()).digest()


def domain_of(address: str) -> str:
    """The domain of a mailbox, lower case: what rates are limited by."""
    return address.rpartition("@")[2].lower()


def display_name(text: str) -> str:
    """A name as a header may say it: no control or direction characters, one line, not too long."""
    plain = UNSEEN.sub(" ", unicodedata.normalize("NFC", text))
    return " ".join(plain.split())[:MOST_NAME_CHARACTERS].rstrip()
