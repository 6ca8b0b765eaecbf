"""Traits read into fields: which sent names a field has, and what its value must be.

A name that is there with a value of the wrong type is a schema violation; null and text outside a
closed set change nothing. Whatever is not read stays in `traits` as sent.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Raw

from services.ingest.model import times
from services.ingest.model.personal import Fields
from shared.events.refusals import SchemaViolation

# An instant as a number above this counts milliseconds: as seconds it would be the year 5138.
SECONDS_MAX = 1e11

Read = Callable[[Raw], Any]


class Known(NamedTuple):
    """The names under which a field may be sent, first one wins, and how its value is read."""

    names: tuple[str, ...]
    read: Read


def _typed(expected: Any) -> Read:
    return msgspec.json.Decoder(expected).decode


text = _typed(str | None)
_moment = _typed(str | int | float | None)


def instant(value: Raw) -> datetime | None:
    """Seconds or milliseconds since 1970, or a time as text. Raises ValueError for other text."""
    sent = _moment(value)
    if sent is None:
        return None
    if isinstance(sent, str):
        parsed = times.parse(sent)
        if parsed is None:
            raise ValueError(f"{sent[:50]!r} is no time")
        return parsed
    seconds = sent / 1000 if abs(sent) > SECONDS_MAX else sent
    return datetime.fromtimestamp(seconds, UTC)


def one_of(*values: str) -> Read:
    """Text of a closed set; another text is not read."""

    def read(value: Raw) -> str | None:
        found = text(value)
        return found if found in values else None

    return read


SIGNED_UP_AT = Known(("signed_up_at", "signedUpAt", "created_at", "createdAt", "created"), instant)
TIME_ZONE = Known(("time_zone", "timeZone", "timezone"), text)
LOCALE = Known(("locale", "language"), text)

USER_FIELDS: Mapping[str, Known] = {
    "signed_up_at": SIGNED_UP_AT,
    "time_zone": TIME_ZONE,
    "zone_kind": Known(("zone_kind", "zoneKind"), one_of("learned", "moved")),
    "locale": LOCALE,
    "role": Known(("role",), one_of("user", "admin", "champion", "sponsor")),
    "email_opt_out": Known(("email_opt_out", "emailOptOut"), _typed(bool | None)),
    "channels": Known(("channels",), _typed(list[str] | None)),
}
LIFECYCLE_STAGES = (
    "prospect",
    "handoff",
    "kickoff",
    "implementation",
    "training",
    "launch",
    "review",
    "adoption",
    "advancement",
    "renewal",
    "advocacy",
    "churned",
)
ACCOUNT_FIELDS: Mapping[str, Known] = {
    "name": Known(("name",), text),
    "plan": Known(("plan", "plan_name", "planName"), text),
    "tier": Known(("tier",), one_of("standard", "important", "most_important")),
    "segment": Known(("segment",), text),
    "tags": Known(("tags",), _typed(list[str] | None)),
    "industry": Known(("industry",), text),
    "owner": Known(("owner",), text),
    "seller": Known(("seller",), text),
    "parent": Known(("parent",), text),
    "icp_score": Known(
        ("icp_score", "icpScore"), _typed(Annotated[float, Meta(ge=0, le=100)] | None)
    ),
    "seats": Known(("seats",), _typed(Annotated[int, Meta(ge=0)] | None)),
    "pricing_model": Known(("pricing_model", "pricingModel"), one_of("seat", "value")),
    "acquisition_channel": Known(("acquisition_channel", "acquisitionChannel"), text),
    "lifecycle_stage": Known(("lifecycle_stage", "lifecycleStage"), one_of(*LIFECYCLE_STAGES)),
    "time_zone": TIME_ZONE,
    "locale": LOCALE,
    "signed_up_at": SIGNED_UP_AT,
    "integrations": Known(("integrations",), _typed(int | None)),
    "external_ids": Known(("external_ids", "externalIds"), _typed(dict[str, str] | None)),
    "synthetic": Known(("synthetic",), _typed(bool | None)),
}


def read(traits: Fields, known: Mapping[str, Known]) -> dict[str, Any]:
    """The fields that `traits` name. Raises SchemaViolation for a value of the wrong type."""
    found: dict[str, Any] = {}
    for field, (names, read_value) in known.items():
        for name in names:
            sent = traits.get(name)
            if sent is None:
                continue
            try:
                value = read_value(sent)
            except (msgspec.DecodeError, ValueError, OverflowError, OSError) as error:
                raise SchemaViolation(f"traits.{name}: {error}") from error
            if value is not None:
                found[field] = value
                break
    return found


def full_name(personal: Fields) -> str | None:
    """First and last name together where no `name` was sent; None where there is neither."""
    if "name" in personal:
        return None
    parts = [_text_or_none(personal[part]) for part in NAME_PARTS if part in personal]
    return " ".join(part for part in parts if part) or None


def _text_or_none(value: Raw) -> str | None:
    try:
        return text(value)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None


def without_null(fields: Fields) -> Fields:
    """`fields` that say something."""
    return {name: value for name, value in fields.items() if bytes(value) != b"null"}


NAME_PARTS: Collection[str] = ("first_name", "last_name")
