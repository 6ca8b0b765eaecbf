"""A letter as mail: its headers, its two forms, and a Message-ID that the identity decides.

The same message is the same Message-ID however often it is made, so that bounces, replies and
tests can be joined to it, and a careful receiver may drop a second copy.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from services.cadence.model.addresses import display_name, mailbox
from services.cadence.model.tokens import opaque

MESSAGE_IDS = "cadence.message-id"
LINE = "\r\n"
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
PLAIN_LINE = re.compile(r"[\x20-\x7e]{1,970}")  # a line may have 998 octets (RFC 5322 2.1.1)


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
    boundary = f"=_{identifier.strip('<>').partition('@')[0]}"
    headers = [
        *_machine_lines(identifier, unsubscribe),
        f"From: {_named('From', sender.name, sender.address)}",
        f"To: {_named('To', written.to_name or '', mailbox(written.to_address))}",
        *([f"Reply-To: {mailbox(sender.reply_to)}"] if sender.reply_to is not None else ()),
        f"Subject: {_encoded('Subject', display_name(written.subject) or '-')}",
        f"Date: {format_datetime(sent_at)}",
        "Auto-Submitted: auto-generated",
        f"Content-Language: {_language(written.locale)}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    ]
    parts = (_part("plain", written.text), _part("html", written.html))
    body = "".join(f"--{boundary}\r\n{part}" for part in parts)
    return f"{LINE.join(headers)}\r\n\r\n{body}--{boundary}--\r\n".encode("ascii")


def _part(form: str, words: str) -> str:
    """One form of the letter, in base64: no server breaks its lines or looks for dots."""
    canonical = words.replace("\r\n", "\n").replace("\n", LINE).encode()
    encoded = base64.encodebytes(canonical).decode().replace("\n", LINE)
    return (
        f'Content-Type: text/{form}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{encoded}"
    )


def _machine_lines(identifier: str, unsubscribe: Unsubscribe | None) -> Iterator[str]:
    """Headers that programs read, each on one line as it is: no one-click reader decodes words."""
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
        yield f"{name}: {value}"


def _named(header: str, name: str, address: str) -> str:
    """An address with its display name, quoted or encoded as need be."""
    shown = display_name(name)
    if not shown:
        return address
    if shown.isascii():
        return f"{_quoted(shown)} <{address}>"
    return f"{_encoded(header, shown)} <{address}>"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _encoded(header: str, words: str) -> str:
    """Words of a header, folded, in encoded words where they are not ASCII."""
    charset = "us-ascii" if words.isascii() and "=?" not in words else "utf-8"
    return Header(words, charset, header_name=header).encode(linesep=LINE)


def _language(locale: str) -> str:
    return locale if LANGUAGE.fullmatch(locale) else "en"
