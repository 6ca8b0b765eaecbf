"""A letter as mail: its headers, its two forms, and a Message-ID that the identity decides.

The same message is the same Message-ID however often it is made, so that bounces, replies and
tests can be joined to it, and a careful receiver may drop a second copy.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from services.cadence.model.addresses import display_name, mailbox
from services.cadence.model.tokens import opaque

MESSAGE_IDS = "cadence.message-id"
PLAIN_LINE = re.compile(r"[\x20-\x7e]{1,900}")  # a line may have 998 octets (RFC 5322 2.1.1)


@dataclass(frozen=True, kw_only=True)
class Sender:
    """As whom a letter is sent. `domain` stands behind Message-IDs and is what DKIM vouches for.

    `bounces` is the envelope's sender: reports of failure go there.
    """

    name: str
    address: str
    domain: str
    bounces: str
    reply_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unsubscribe:
    """How to leave a list: an address that acts on POST alone (RFC 8058), and the list's name."""

    url: str
    list_id: str


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a letter says, to whom."""

    to_address: str
    to_name: str | None
    subject: str
    text: str
    html: str
    locale: str


def message_id(secret: str, workspace: str, identity: str, domain: str) -> str:
    """`<occ.HMAC(identity)@domain>`, with its angle brackets."""
    return f"<occ.{opaque(secret, MESSAGE_IDS, workspace, identity)}@{domain}>"


def compose(
    written: Written,
    *,
    sender: Sender,
    identifier: str,
    sent_at: datetime,
    unsubscribe: Unsubscribe | None,
) -> bytes:
    """The letter in the form that goes over the wire, CRLF lines, ASCII only.

    Raises AddressUnusable where `to_address` is not exactly one mailbox.
    """
    letter = EmailMessage(policy=SMTP)
    letter["From"] = _named(sender.name, sender.address)
    letter["To"] = _named(written.to_name or "", mailbox(written.to_address))
    if sender.reply_to is not None:
        letter["Reply-To"] = mailbox(sender.reply_to)
    letter["Subject"] = display_name(written.subject) or "-"
    letter["Date"] = format_datetime(sent_at)
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(written.text, cte="base64")
    letter.add_alternative(written.html, subtype="html", cte="base64")
    letter["Content-Language"] = display_name(written.locale)
    return _machine_lines(identifier, unsubscribe) + letter.as_bytes()


def _machine_lines(identifier: str, unsubscribe: Unsubscribe | None) -> bytes:
    """Headers that programs read, each on one line as it is.

    The library would write a long address as an encoded word, which no one-click reader decodes.
    """
    lines = [("Message-ID", identifier)]
    if unsubscribe is not None:
        lines += [
            ("List-Id", f"<{unsubscribe.list_id}>"),
            ("List-Unsubscribe", f"<{unsubscribe.url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]
    for name, value in lines:
        if not PLAIN_LINE.fullmatch(value):
            raise ValueError(f"{name} does not fit on one line of ASCII: {value[:80]!r}")
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode("ascii")


def _named(name: str, address: str) -> Address:
    return Address(display_name=display_name(name), addr_spec=address)
