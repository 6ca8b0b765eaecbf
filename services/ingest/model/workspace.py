"""What a workspace may be called and set to. Raises ValueError with the offending value."""

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from zoneinfo import available_timezones

from shared.events.currencies import DECIMALS

WORKSPACE_ID = re.compile(r"[a-z0-9-]{1,63}")
LOCALE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
RESERVED_SOURCES = ("stripe", "standard")  # whose facts come by webhook


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NATIVE_TYPES = _words("""
    user.signed_up user.identified user.aliased user.removed user.consent_changed
    account.upserted deal.closed contract.upserted contract.cancelled concession.granted
    feature.shipped
    conversation.started conversation.answered conversation.escalated conversation.closed
    ticket.opened ticket.answered ticket.resolved ticket.reopened
    payment.succeeded payment.failed payment.refunded payment.disputed
    error.occurred contact.logged feedback.received external.received
    content.viewed training.completed quiz.answered
""")


def workspace_id(text: str) -> str:
    """The id itself."""
    return _matching(WORKSPACE_ID, text, "lower-case letters, digits and -, at most 63")


def time_zone(text: str) -> str:
    """The name itself, when the IANA database knows it."""
    if text not in _zones():
        raise ValueError(f"{text!r} is no IANA time zone, such as Asia/Seoul")
    return text


def currency(text: str) -> str:
    """The ISO 4217 code in upper case."""
    if text.upper() not in DECIMALS:
        raise ValueError(f"{text!r} is no ISO 4217 currency, such as KRW")
    return text.upper()


def locale(text: str) -> str:
    """The language tag itself."""
    return _matching(LOCALE, text, "a language tag, such as ko or en-US")


def source(text: str) -> str:
    """The label itself: it holds no space, so that event ids can be taken apart."""
    if text in RESERVED_SOURCES:
        raise ValueError(f"{text!r} is reserved for what comes by webhook")
    return _matching(SOURCE, text, "letters, digits and . _ : -, at most 64")


def margin(text: str) -> str:
    """The share of revenue itself, 0 to 1 in decimal digits."""
    try:
        share = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no decimal number") from error
    if not (share.is_finite() and 0 <= share <= 1):
        raise ValueError(f"{text!r} is not between 0 and 1")
    return text


def event_mapping(mapping: dict[str, str]) -> dict[str, str]:
    """Sent names to native types, the version left out."""
    native = {sent: kind.removesuffix(".v1") for sent, kind in mapping.items()}
    for kind in native.values():
        if kind not in NATIVE_TYPES:
            raise ValueError(
                f"{kind!r} is no native type; they are {', '.join(sorted(NATIVE_TYPES))}"
            )
    return native


def _matching(pattern: re.Pattern[str], text: str, meaning: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r:.80} is not {meaning}")
    return text


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
