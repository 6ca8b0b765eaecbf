"""The usual event: a track call as SDKs send it, stamped without the general road's many steps.

Nine events in ten are of this form, and what they cost is what the edge costs. Everything that is
not quite so is left to `segment.stamp`, which says the same of every event that both can read: the
tests hold them against each other.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from services.ingest.model import limits, personal, segment, times, wire
from services.ingest.model.segment import Reception
from services.ingest.model.wire import Stamped
from shared.events.ingest import USAGE, USAGE_HISTORY, UsageTracked
from shared.events.refusals import EventRefused

Id = Annotated[str, Meta(min_length=1, max_length=limits.ID_CHARACTERS)]
MessageId = Annotated[str, Meta(min_length=1, max_length=limits.MESSAGE_ID_CHARACTERS)]


class Usual(msgspec.Struct, rename="camel", gc=False):
    """A track call with a context, ids of text, and no clock of its own."""

    type: Literal["track"]
    message_id: MessageId
    event: Id
    context: Raw
    properties: Raw
    user_id: Id | None = None
    anonymous_id: Id | None = None
    timestamp: str | None = None
    original_timestamp: None = None
    sent_at: None = None


_decode = msgspec.json.Decoder(Usual).decode


def read(source: bytes) -> Usual | None:
    """The event of these bytes; None where it is not usual.

    An escape by number may be a NUL, half a surrogate pair or a hidden name: not usual.
    """
    if len(source) > limits.EVENT_BYTES or b"\\u" in source:
        return None
    try:
        if not source.isascii():
            source.decode()
        return _decode(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def stamp(sent: Usual, reception: Reception, *, may_be_private: bool) -> Stamped | None:
    """The event as it goes to Kafka; None where it turns out not to be usual.

    `may_be_private` is False where it is known that its properties hold no personal field.
    """
    person = sent.user_id or sent.anonymous_id
    try:
        context = reception.contexts.read(sent.context, reception.batch_context)
    except EventRefused:
        return None  # the general road says why
    account = context.group_id
    if person is None or type(account) is not str or not 0 < len(account) <= limits.ID_CHARACTERS:
        return None
    if segment.native_track(sent.event, reception) is not None:
        return None
    properties = bytes(sent.properties)
    if not properties.startswith(b"{") or (may_be_private and personal.may_hold(properties)):
        return None
    clock = reception.clock
    moment = times.moment(sent.timestamp, clock, received_at=reception.received_at)
    warning = times.BAD_TIMESTAMP if moment.is_bad else None
    key = f"{reception.workspace}/{account}"
    event_id = f"{reception.source} {sent.message_id}"
    attributes = wire.Attributes(
        event_id,
        UsageTracked.type,
        key,
        moment.at,
        account,
        sent.message_id,
        moment.original,
        clock.sent_at,
        warning,
        UsageTracked(
            user=sent.user_id,
            anonymous=sent.anonymous_id,
            event=sent.event,
            feature=segment.feature_of(sent.properties) or sent.event,
            properties=sent.properties,
            context=context.carried,
        ),
    )
    topic = USAGE_HISTORY if reception.is_history else USAGE
    payload = wire.spliced(reception.prefix, attributes)
    return Stamped(event_id, sent.message_id, topic, key, payload, warning)
