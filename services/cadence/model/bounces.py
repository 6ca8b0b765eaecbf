"""What comes back: reports that a letter was not delivered (RFC 3464), complaints (RFC 5965),
replies of machines. A report is believed only as far as it names a letter of ours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message
from enum import StrEnum

MOST_BYTES = 512 * 1024
MOST_PARTS = 30
STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
MESSAGE_ID = re.compile(r"<occ\.[A-Za-z0-9_-]{22}@[A-Za-z0-9.-]{1,255}>")
AUTOMATIC = re.compile(r"out of office|automatic reply|auto(matic)?[- ]?reply|부재", re.IGNORECASE)
# Enhanced status codes (RFC 3463) that say the mailbox is not there, and will not be.
GONE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})


class ReportKind(StrEnum):
    """What a message that came back is."""

    HARD_BOUNCE = "hard_bounce"  # this mailbox takes nothing, now or later
    SOFT_BOUNCE = "soft_bounce"  # not delivered; another letter may be
    DELAYED = "delayed"  # still trying: nothing has happened yet
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    AUTOMATIC_REPLY = "automatic_reply"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Report:
    """One report. `message_id` is of the letter it speaks of, where it names one of our form."""

    kind: ReportKind
    message_id: str | None = None
    status: str | None = None


def read_report(raw: bytes) -> Report:
    """What a message that came back says. Never raises: what cannot be read is `unreadable`."""
    if len(raw) > MOST_BYTES:
        return Report(ReportKind.UNREADABLE)
    try:
        message = message_from_bytes(raw)
        parts = list(_parts(message))
        return _read(message, parts)
    except (MessageError, ValueError, LookupError, RecursionError, AttributeError):
        return Report(
            ReportKind.UNREADABLE
        )  # what strangers send breaks any parser sooner or later


def _read(message: Message, parts: list[Message]) -> Report:
    identifier = _identifier(message, parts)
    kinds = {part.get_content_type(): part for part in parts}
    if feedback := kinds.get("message/feedback-report"):
        return Report(_complaint(feedback), identifier)
    if status := kinds.get("message/delivery-status"):
        return _delivery_status(status, identifier)
    if _is_automatic(message):
        return Report(ReportKind.AUTOMATIC_REPLY, identifier)
    return Report(ReportKind.UNREADABLE, identifier)


def _delivery_status(part: Message, identifier: str | None) -> Report:
    """Of the first recipient: our letters have one."""
    fields = _fields(part)
    found = STATUS.search(fields.get("status", ""))
    status = ".".join(found.groups()) if found else None
    match fields.get("action", "").split(" ")[0].lower():
        case "delivered" | "relayed" | "expanded":
            return Report(ReportKind.DELIVERED, identifier, status)
        case "delayed":
            return Report(ReportKind.DELAYED, identifier, status)
        case "failed":
            return Report(_failure(status), identifier, status)
        case _:
            return Report(ReportKind.UNREADABLE, identifier, status)


def _failure(status: str | None) -> ReportKind:
    return ReportKind.HARD_BOUNCE if status in GONE else ReportKind.SOFT_BOUNCE


def _complaint(part: Message) -> ReportKind:
    """`not-spam` is the opposite of a complaint, and nothing to act on."""
    kind = _fields(part).get("feedback-type", "abuse").lower()
    return ReportKind.DELIVERED if kind == "not-spam" else ReportKind.COMPLAINT


def _fields(part: Message) -> dict[str, str]:
    """All fields of a part of several groups of fields; the first of a name counts."""
    groups = part.get_payload()
    listed = groups if isinstance(groups, list) else message_groups(str(groups))
    fields: dict[str, str] = {}
    for group in listed:
        if isinstance(group, Message):
            for name, value in group.items():
                fields.setdefault(name.lower(), str(value).strip())
    return fields


def message_groups(text: str) -> list[Message]:
    """Groups of header fields, one after the other, set apart by empty lines."""
    blocks = re.split(r"\r?\n\s*\r?\n", text)
    return [message_from_bytes(block.encode("utf-8", "replace")) for block in blocks]


def _identifier(message: Message, parts: list[Message]) -> str | None:
    """The Message-ID of ours that the report carries: in the returned letter or its headers, else
    in what it answers.
    """
    for part in parts:
        if part.get_content_type() in {"message/rfc822", "text/rfc822-headers"}:
            returned = part.get_payload()
            text = str(returned[0]) if isinstance(returned, list) and returned else str(returned)
            if found := MESSAGE_ID.search(text):
                return found.group()
    answered = " ".join(str(message.get(name, "")) for name in ("In-Reply-To", "References"))
    found = MESSAGE_ID.search(answered)
    return found.group() if found else None


def _is_automatic(message: Message) -> bool:
    said = str(message.get("Auto-Submitted", "no")).lower()
    return (
        said.startswith(("auto-replied", "auto-generated"))
        or message.get("X-Autoreply") is not None
        or AUTOMATIC.search(str(message.get("Subject", ""))) is not None
    )


def _parts(message: Message) -> Iterator[Message]:
    for number, part in enumerate(message.walk()):
        if number >= MOST_PARTS:
            return
        yield part
