"""Events that are facts of their own, under our own names, whatever form they come in.

Their fields are read strictly, by the contract; fields that it does not know are carried on.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import msgspec
from msgspec import Raw, UnsetType

from services.ingest.model import limits, personal, traits
from services.ingest.model import workspace as rules
from services.ingest.model.personal import Fields
from shared.events.base import Event
from shared.events.ingest import (
    ConcessionGranted,
    ContractCancelled,
    ContractUpserted,
    DealClosed,
    FeedbackReceived,
    PaymentDisputed,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    UserConsentChanged,
    UserRemoved,
)
from shared.events.refusals import EventRefused, SchemaViolation


class IcpScoreRequired(EventRefused):
    """A deal without a word on how well the account fits (C18)."""

    code: ClassVar[str] = "icp_score_required"


class Native(NamedTuple):
    """A native event as read, and its data with whatever else was sent."""

    event: Event
    data: Raw


TYPES: Mapping[str, type[Event]] = {
    event.type.removesuffix(".v1"): event
    for event in (
        DealClosed,
        ContractUpserted,
        ContractCancelled,
        ConcessionGranted,
        PaymentSucceeded,
        PaymentFailed,
        PaymentRefunded,
        PaymentDisputed,
        FeedbackReceived,
        UserRemoved,
        UserConsentChanged,
    )
}
# What is agreed with an account is nothing without it; a payment may come before it is known.
OF_AN_ACCOUNT = frozenset({DealClosed, ContractUpserted, ContractCancelled, ConcessionGranted})
OF_A_PERSON = frozenset({UserRemoved, UserConsentChanged})
# A person's own words stand in `personal`, and nowhere else.
OWN_WORDS: Mapping[type[Event], Mapping[str, str]] = {FeedbackReceived: {"text": "text"}}

_encode = msgspec.json.Encoder().encode
_text = msgspec.json.Decoder(str).decode


def read(
    kind: type[Event],
    sent: Fields,
    *,
    account: str | None,
    user: str | None = None,
    anonymous: str | None = None,
) -> Native:
    """The event that `sent` states; a null is as good as absent.

    Raises SchemaViolation for a field missing or of the wrong type, IcpScoreRequired.
    """
    if account is None and kind in OF_AN_ACCOUNT:
        raise SchemaViolation(f"{kind.type} needs an account: send it as context.groupId")
    if user is None and kind in OF_A_PERSON and "user" not in sent:
        raise SchemaViolation(f"{kind.type} needs a user")
    names = {**personal.PERSONAL_PROPERTIES, **OWN_WORDS.get(kind, {})}
    rest, private = personal.parted(traits.without_null(sent), names)
    private = {**_personal(rest.pop("personal", None)), **private}
    if kind is DealClosed and "icp_score" not in rest:
        raise IcpScoreRequired("a deal needs icp_score, 0 to 100: how well the account fits")
    if "currency" in rest:
        rest["currency"] = _currency(rest["currency"])
    said = {"user": user, "anonymous": anonymous}
    said_fields = {name: Raw(_encode(value)) for name, value in said.items() if value is not None}
    apart = personal.joined(private)
    personal_field = {} if isinstance(apart, UnsetType) else {"personal": apart}
    data = _encode({**rest, **said_fields, **personal_field})
    limits.check(data, name="properties")
    try:
        return Native(msgspec.json.decode(data, type=kind), Raw(data))
    except msgspec.DecodeError as error:
        raise SchemaViolation(f"{kind.type}: {error}") from error


def _personal(sent: Raw | None) -> Fields:
    """What was already sent apart."""
    try:
        return {} if sent is None else personal.fields_of(sent)
    except msgspec.DecodeError as error:
        raise SchemaViolation(f"personal: {error}") from error


def _currency(sent: Raw) -> Raw:
    """The currency in upper case."""
    try:
        return Raw(_encode(rules.currency(_text(sent))))
    except (msgspec.DecodeError, ValueError) as error:
        raise SchemaViolation(f"currency: {error}") from error
