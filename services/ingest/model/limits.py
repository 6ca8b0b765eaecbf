"""How much may be sent, and the check that all which is carried on can be stored anywhere.

The limits hold after inflation. What PostgreSQL's jsonb, a 64-bit integer or a double cannot hold
is refused here, at the door, so that no consumer ever stumbles over it.
"""

from typing import Any

import msgspec

from shared.events.refusals import SchemaViolation

EVENT_BYTES = 32 * 1024
BODY_BYTES = 500_000
IMPORT_BODY_BYTES = 5 * 1024 * 1024
BATCH_EVENTS = 2_500
ID_CHARACTERS = 200
MESSAGE_ID_CHARACTERS = 100
DEPTH = 16  # levels of nesting; the event itself is the first
INT64_MAX = 2**63 - 1

# Digits to `0`, both letters of an exponent to `e`, both signs to `+`: a number that may be out of
# range then shows as one of three short texts, which costs a tenth of a regular expression.
_NUMERALS = bytes(
    ord("0") if chr(byte) in "0123456789" else
    ord("e") if chr(byte) in "eE" else
    ord("+") if chr(byte) in "+-" else
    ord(" ")
    for byte in range(256)
)  # fmt: skip
_LONG = b"0" * 19

_decode = msgspec.json.Decoder().decode


def is_plain(text: bytes, *, objects: int) -> bool:
    """Whether `text`, which holds `objects` JSON objects side by side, surely breaks no limit.

    Only counts and searches: False means that `check` has to look.
    """
    if text.count(b"{") + text.count(b"[") > objects + DEPTH - 2:
        return False
    if b"\\" in text and b"\\u0000" in text:
        return False
    numerals = text.translate(_NUMERALS)
    return not (_LONG in numerals or b"0e0" in numerals or b"0e+" in numerals)


def check(part: bytes, *, name: str) -> None:
    """Raise SchemaViolation when a value within `part` of an event cannot be stored.

    That is: nested deeper than 16 levels, a whole number beyond int64, a number beyond float64, or
    a text with NUL. `part` stands directly in the event, so it begins on the second level.
    """
    try:
        value = _decode(part)
    except msgspec.ValidationError as error:
        raise SchemaViolation(f"{name}: a number is out of range") from error
    except RecursionError as error:
        raise _too_deep(name) from error
    _check_value(value, name=name, depth=2)


def _check_value(value: Any, *, name: str, depth: int) -> None:
    match value:
        case str():
            check_text(value, name=name)
        case bool() | None | float():
            return
        case int():
            if not -INT64_MAX - 1 <= value <= INT64_MAX:
                raise SchemaViolation(f"{name}: a whole number is beyond 64 bits")
        case dict():
            _check_depth(depth, name=name)
            for key, inner in value.items():
                check_text(key, name=name)
                _check_value(inner, name=name, depth=depth + 1)
        case list():
            _check_depth(depth, name=name)
            for inner in value:
                _check_value(inner, name=name, depth=depth + 1)


def check_text(text: str, *, name: str) -> None:
    """Raise SchemaViolation when `text` has a NUL, which no PostgreSQL text can hold."""
    if "\x00" in text:
        raise SchemaViolation(f"{name}: a text with NUL cannot be stored")


def _check_depth(depth: int, *, name: str) -> None:
    if depth > DEPTH:
        raise _too_deep(name)


def _too_deep(name: str) -> SchemaViolation:
    return SchemaViolation(f"{name}: nested deeper than {DEPTH} levels")
