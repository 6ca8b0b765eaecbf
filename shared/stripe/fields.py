"""The small forms that Stripe's objects are made of: references, seconds, numbers."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.events.currencies import DECIMALS
from shared.events.refusals import SchemaViolation

SOURCE = "stripe"  # of the facts that are read here

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799, description="Since 1970, UTC.")]
Amount = Annotated[int, Meta(ge=-(10**18), le=10**18, description="Minor units.")]
# Stripe goes on to send two decimals of the króna, always 00, though it has none: 100 is 1 króna.
SENT_DECIMALS = {"ISK": 2}
# Beyond these a number is none of money or percent, and writing it out could fill the memory.
MOST_DIGITS = 40


class Named(msgspec.Struct):
    """An object that stands whole where its id could stand."""

    id: Text


Reference = str | Named


def id_of(reference: Reference | None) -> str | None:
    """The id, whether or not the object was expanded; None for none."""
    if isinstance(reference, Named):
        return reference.id
    return reference or None


def instant(seconds: int) -> datetime:
    """The instant that lies so many seconds after 1970 began."""
    return datetime.fromtimestamp(seconds, UTC)


def plain(number: Decimal) -> str:
    """The number in plain digits, none lost. Raises SchemaViolation where that is no number."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) + len(number.as_tuple().digits) > MOST_DIGITS:
        raise SchemaViolation(f"{number!s:.60} is no amount or percentage")
    return format(number, "f")


def exact(number: Decimal | None, whole: int | None) -> str | None:
    """An amount in plain digits: the exact one, else the rounded one; None where neither is there.

    Stripe gives the whole number only where the exact one is whole.
    """
    if number is not None:
        return plain(number)
    return None if whole is None else str(whole)


def minor(sent: str, currency: str) -> str:
    """An amount of Stripe's in minor units of the currency, which has other decimals now and then.

    Raises SchemaViolation.
    """
    code = currency.upper()
    if code not in SENT_DECIMALS:
        return sent
    return plain(in_minor_units(Decimal(sent), code))


def in_minor_units(sent: Decimal, code: str) -> Decimal:
    """The same of a number, for a currency in upper case; no digit is lost, as a product's are."""
    sign, digits, exponent = sent.as_tuple()
    if code not in SENT_DECIMALS or not isinstance(exponent, int):
        return sent
    return Decimal((sign, digits, exponent + DECIMALS[code] - SENT_DECIMALS[code]))
