"""Reading a billing fact: the fact itself, or the precise reason why it cannot be booked.

The same function reads where facts come in and where they are booked, so that both agree.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Any, cast

import msgspec

from shared.errors import PermanentError
from shared.events.billing import (
    AcquisitionCost,
    Amount,
    AnyFact,
    Discount,
    DiscountKind,
    FxRate,
    Item,
    SalesAndMarketing,
    Status,
    SubscriptionState,
    Tier,
    TiersMode,
    UsageType,
    units_of,
)
from shared.events.currencies import DECIMALS

MAX_DIGITS = 18  # before the point, and as many behind it: prices have up to 12, rates more
OLDEST = timedelta(days=20 * 365)  # a state that old is a wrong year, not a backdated contract
FARTHEST = timedelta(days=10 * 365)  # a start that far ahead is a wrong unit of time
CLOCK_SKEW = timedelta(minutes=5)  # how far a migrating system's clock may be ahead of ours
ENDED = frozenset({Status.CANCELED, Status.INCOMPLETE_EXPIRED})


class BadFact(PermanentError):
    """A fact that cannot be booked. `code` is the stable reason, the message names the field."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # one class of error, many reasons


# The fields that hold an amount, wherever in a fact they stand, and the parts that hold them.
# What a provider's own object or noise holds is not read, so it is not looked into.
_AMOUNTS = frozenset({"unit_amount", "flat_amount", "value", "rate", "amount", "tax_percent"})
_PARTS = frozenset({"items", "discounts", "tiers"})
_PLAIN_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_FEW_DIGITS = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(?:\.[0-9]{{1,{MAX_DIGITS}}})?", re.ASCII)
_READ_AMOUNTS = ("subscription_state", "fx_rate", "sales_and_marketing", "acquisition_cost")
_NO_UPPER_END = "inf"  # how Stripe takes the last tier's end; it gives it back as null
# Text that is no UTF-8 and nesting without end have errors of their own.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MAX_PERCENT = 100
_SHOWN_CHARACTERS = 80


def fact_of(raw: bytes | Mapping[str, Any], *, received_at: datetime) -> AnyFact:
    """The fact that `raw`, a JSON object or its bytes, states; received at `received_at`.

    A null is as good as absent. Currencies come out in upper case. Raises BadFact with a stable
    code: malformed, schema_violation, unknown_type, float_amount, bad_amount, too_many_digits,
    negative_amount, bad_percent, bad_rate, unknown_currency, bad_interval, negative_quantity,
    missing_quantity, missing_price, bad_tiers, bad_discount, end_before_start, too_old,
    too_far_ahead, recorded_in_future.
    """
    fact = _read_strictly(raw) or _read_leniently(raw)
    _check_times(fact, received_at)
    match fact:
        case SubscriptionState():
            return _checked_state(fact)
        case FxRate():
            return _checked_rate(fact)
        case SalesAndMarketing() | AcquisitionCost():
            _refuse_negative("amount", fact.amount)
    return fact


def content_digest(raw: bytes | Mapping[str, Any], fact: AnyFact) -> str:
    """SHA-256 over all fields of a fact but `recorded_at`, in hex: equal for equal content (P22).

    Spellings of one value (`10` and `10.0`, two zones of one instant, a default left out) are
    equal; fields that are not known here count as they were sent.
    """
    content = _canonical(fact, _without_nulls(_object(raw)))
    content["type"] = fact.__struct_config__.tag
    content.pop("recorded_at", None)
    return sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def _read_strictly(raw: bytes | Mapping[str, Any]) -> AnyFact | None:
    """The fact, if nothing about it needs a second look: three times as fast as looking."""
    try:
        if isinstance(raw, bytes):
            return _decoder.decode(raw)
        return cast("AnyFact", msgspec.convert(raw, AnyFact, dec_hook=_amount))
    except UNREADABLE:
        return None


def _read_leniently(raw: bytes | Mapping[str, Any]) -> AnyFact:
    """The fact without its nulls. Raises BadFact with what cannot be read in it."""
    said = _without_nulls(_object(raw))
    if said.get("type") in _READ_AMOUNTS:
        said = _with_plain_amounts(said, "")
    try:
        return cast("AnyFact", msgspec.convert(said, AnyFact, dec_hook=_amount))
    except msgspec.ValidationError as error:
        raise _shape_refused(said, str(error)) from error


def _amount(_: type, said: Any) -> Amount:
    """The amount that a string of digits or a whole number says."""
    if isinstance(said, Amount):
        return said
    if type(said) is int:
        said = str(said)
    if type(said) is str and _FEW_DIGITS.fullmatch(said):
        return Amount(said)
    raise ValueError("no plain decimal string")


_decoder: msgspec.json.Decoder[AnyFact] = msgspec.json.Decoder(AnyFact, dec_hook=_amount)


def _object(raw: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(raw, Mapping):
        return raw
    try:
        said = msgspec.json.decode(raw)
    except UNREADABLE as error:
        raise BadFact("malformed", f"a fact is a JSON object: {error}") from error
    if not isinstance(said, dict):
        raise BadFact("malformed", f"a fact is a JSON object, got {_shown(said)}")
    return said


def _without_nulls(part: Mapping[str, Any]) -> dict[str, Any]:
    """`part` without its null fields, down through the parts that are ours."""
    return {
        name: [_without_nulls(one) if isinstance(one, Mapping) else one for one in value]
        if name in _PARTS and isinstance(value, list | tuple)
        else value
        for name, value in part.items()
        if value is not None and not (name == "up_to" and value == _NO_UPPER_END)
    }


def _with_plain_amounts(part: Mapping[str, Any], path: str) -> dict[str, Any]:
    """`part` with every amount as it is exactly. Raises BadFact at one that is not digits."""
    read = dict(part)
    for name, value in part.items():
        where = f"{path}.{name}" if path else name
        if name in _AMOUNTS:
            read[name] = _plain_amount(value, where)
        elif name in _PARTS and isinstance(value, list):
            read[name] = [
                _with_plain_amounts(one, f"{where}[{number}]") if isinstance(one, dict) else one
                for number, one in enumerate(value)
            ]
    return read


def _plain_amount(value: Any, where: str) -> Amount:
    if isinstance(value, float):
        raise BadFact("float_amount", f"{where}: {value!r} is a float; send a decimal string")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadFact("bad_amount", f"{where}: {_shown(value)} is no decimal string")
    text = str(value)
    found = _PLAIN_NUMBER.fullmatch(text)
    if found is None:
        raise BadFact("bad_amount", f"{where}: {_shown(value)} is no decimal string")
    whole, decimals = found.groups(default="")
    if max(len(whole.lstrip("0")), len(decimals.rstrip("0"))) > MAX_DIGITS:
        raise BadFact(
            "too_many_digits",
            f"{where}: {_shown(value)} has more than {MAX_DIGITS} digits on a side of the point",
        )
    return Amount(text)


_CODE_BY_FIELD = {"type": "unknown_type", "interval": "bad_interval"}
_CODE_BY_BOUND = {"interval_count": "bad_interval", "quantity": "negative_quantity"}
_CODE_BY_ABSENCE = {
    "price": "missing_price",
    "interval": "bad_interval",
    "kind": "bad_discount",
}
_SAID_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_ABSENT = re.compile(r"missing required field `(\w+)`")


def _shape_refused(said: Mapping[str, Any], message: str) -> BadFact:
    """What the decoder refused, by the code of the field and with the value that it found."""
    found = _SAID_PATH.match(message)
    assert found is not None, message
    what, path = found["what"], found["path"] or ""
    if absent := _ABSENT.search(what):
        field = absent[1]
        where = f"{path}.{field}" if path else field
        return BadFact(_CODE_BY_ABSENCE.get(field, "schema_violation"), f"{where}: is missing")
    field = path.rsplit(".", 1)[-1]
    code = _CODE_BY_FIELD.get(field, "schema_violation")
    if "`int` >=" in what:
        code = _CODE_BY_BOUND.get(field, code)
    return BadFact(code, f"{path}: {what}, got {_shown(_value_at(said, path))}")


def _value_at(said: Any, path: str) -> Any:
    """The value at a path such as `items[0].interval`; None where there is none."""
    for step in re.findall(r"\w+", path):
        try:
            said = said[int(step)] if step.isdigit() else said[step]
        except (LookupError, TypeError):
            return None
    return said


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _check_times(fact: AnyFact, received_at: datetime) -> None:
    at, recorded_at = fact.effective_at, fact.recorded_at
    if at is not None and at <= received_at - OLDEST:
        raise BadFact("too_old", f"effective_at: {at.isoformat()} is 20 years ago or more")
    if at is not None and at >= received_at + FARTHEST:
        raise BadFact("too_far_ahead", f"effective_at: {at.isoformat()} is 10 years ahead or more")
    if recorded_at is not None and recorded_at <= received_at - OLDEST:
        raise BadFact("too_old", f"recorded_at: {recorded_at.isoformat()} is 20 years ago or more")
    if recorded_at is not None and recorded_at > received_at + CLOCK_SKEW:
        raise BadFact("recorded_in_future", f"recorded_at: {recorded_at.isoformat()} is to come")


def _checked_state(state: SubscriptionState) -> SubscriptionState:
    currency = _known_currency(state.currency)
    for number, item in enumerate(state.items):
        _check_item(item, f"items[{number}]")
    _check_discounts(state.discounts, "discounts")
    # A confirmation comes after the end it confirms (P11); only a living state cannot.
    ended_before = state.ends_at is not None and state.ends_at < state.effective_at
    if ended_before and state.status not in ENDED:
        raise BadFact(
            "end_before_start",
            f"ends_at: {state.ends_at} is before effective_at {state.effective_at}",
        )
    return (
        msgspec.structs.replace(state, currency=currency) if currency != state.currency else state
    )


def _check_item(item: Item, where: str) -> None:
    metered = item.usage_type is UsageType.METERED
    if item.quantity is None and not metered:
        raise BadFact("missing_quantity", f"{where}.quantity: is missing")
    if item.unit_amount is None and item.tiers is None and not metered:
        raise BadFact("missing_price", f"{where}: has neither unit_amount nor tiers")
    if item.unit_amount is not None:
        _refuse_negative(f"{where}.unit_amount", item.unit_amount)
    if isinstance(item.tiers, tuple):
        _check_tiers(item.tiers, item.tiers_mode, f"{where}.tiers")
        _check_reach(item.tiers, units_of(item), f"{where}.tiers")
    if item.tiers is not None and item.unit_amount is not None:
        raise BadFact("bad_tiers", f"{where}: has unit_amount and tiers; which of them prices it?")
    if item.tax_percent is not None:
        _refuse_negative(f"{where}.tax_percent", item.tax_percent)
    _check_discounts(item.discounts, f"{where}.discounts")


def _check_tiers(tiers: tuple[Tier, ...], mode: TiersMode | None, where: str) -> None:
    """Tiers rise, and the last one alone is open: else a quantity would have no price or two."""
    if not tiers:
        raise BadFact("missing_price", f"{where}: has no tier")
    if mode is None:
        raise BadFact("bad_tiers", f"{where}: tiers_mode is missing")
    ends = [tier.up_to for tier in tiers]
    closed = [end for end in ends[:-1] if end is not None]
    rising = closed if ends[-1] is None else [*closed, ends[-1]]
    if len(closed) < len(ends) - 1 or any(later <= earlier for earlier, later in pairwise(rising)):
        raise BadFact("bad_tiers", f"{where}: up_to must rise, and only the last be open: {ends}")
    for number, tier in enumerate(tiers):
        for name in ("unit_amount", "flat_amount"):
            amount = getattr(tier, name)
            if amount is not None:
                _refuse_negative(f"{where}[{number}].{name}", amount)


def _check_reach(tiers: tuple[Tier, ...], units: int, where: str) -> None:
    last = tiers[-1].up_to
    if last is not None and units > last:
        raise BadFact(
            "bad_tiers", f"{where}: no tier prices {units} units, the last ends at {last}"
        )


def _check_discounts(discounts: tuple[Discount, ...], where: str) -> None:
    for number, discount in enumerate(discounts):
        _check_discount(discount, f"{where}[{number}]")


def _check_discount(discount: Discount, where: str) -> None:
    if discount.object_id is not None and discount.kind is None:
        return
    for name in ("kind", "value", "duration"):
        if getattr(discount, name) is None:
            raise BadFact("bad_discount", f"{where}.{name}: is missing")
    assert discount.value is not None
    _refuse_negative(f"{where}.value", discount.value)
    if discount.kind is DiscountKind.PERCENT and discount.value > _MAX_PERCENT:
        raise BadFact("bad_percent", f"{where}.value: {discount.value} is more than 100 percent")
    if discount.start is not None and discount.end is not None and discount.end < discount.start:
        raise BadFact(
            "end_before_start",
            f"{where}.end: {discount.end.isoformat()} is before start {discount.start.isoformat()}",
        )


def _checked_rate(rate: FxRate) -> FxRate:
    currency = _known_currency(rate.currency)
    if rate.rate <= 0:
        raise BadFact("bad_rate", f"rate: {rate.rate} is not above 0")
    return msgspec.structs.replace(rate, currency=currency)


def _known_currency(said: str) -> str:
    currency = said.upper()
    if currency not in DECIMALS:
        raise BadFact("unknown_currency", f"currency: {_shown(said)} is no ISO 4217 currency")
    return currency


def _refuse_negative(where: str, amount: Decimal) -> None:
    if amount < 0:
        raise BadFact("negative_amount", f"{where}: {amount} is negative")


def _canonical(value: Any, said: Any) -> Any:
    """`value` in its one spelling, with what `said` has beyond the fields that are known here."""
    match value:
        case msgspec.Struct():
            known = {name: getattr(value, name) for name in value.__struct_fields__}
            content = {name: rest for name, rest in said.items() if name not in known}
            defaults = _defaults(type(value))
            return content | {
                name: _canonical(field, said.get(name))
                for name, field in known.items()
                if field is not None and field != defaults.get(name)
            }
        case tuple():
            return [_canonical(one, of) for one, of in zip(value, said, strict=True)]
        case Decimal():
            return format(value.normalize(), "f")
        case datetime():
            return value.astimezone(UTC).isoformat()
    return value


@cache
def _defaults(part: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.default for field in msgspec.structs.fields(part)}
