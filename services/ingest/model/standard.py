"""Standard Webhooks: our own types stand as what they are, any other as it came."""

from datetime import datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from services.ingest.model import limits, native, personal, times
from services.ingest.model.native import Native
from services.ingest.model.refusals import EventTooLarge
from services.ingest.model.times import EARLIEST, FUTURE
from shared.events.ingest import ExternalReceived
from shared.events.refusals import SchemaViolation

SOURCE = "standard"


class _Sent(msgspec.Struct):
    type: str
    timestamp: object = None
    data: Raw | UnsetType = UNSET


class _Held(msgspec.Struct):
    account: object = None


class StandardEvent(msgspec.Struct, frozen=True):
    """What a webhook says: an event with its data, and the account that `data.account` names."""

    said: Native
    account: str | None
    at: datetime


_decode_sent = msgspec.json.Decoder(_Sent).decode
_decode_held = msgspec.json.Decoder(_Held).decode
_encode = msgspec.json.Encoder().encode


def read(body: bytes, *, sent_at: datetime, received_at: datetime) -> StandardEvent:
    """The event of a webhook's body, of when the body says or else of `sent_at`.

    Raises EventTooLarge, SchemaViolation, IcpScoreRequired.
    """
    if len(body) > limits.EVENT_BYTES:
        raise EventTooLarge(f"{len(body)} bytes in an event, {limits.EVENT_BYTES} at most")
    sent = _read(body)
    limits.check(body, name="payload")
    account = _account(sent.data)
    kind = native.TYPES.get(sent.type.removesuffix(".v1"))
    if kind is None:
        event = ExternalReceived(event=sent.type, payload=Raw(body))
        said = Native(event, Raw(_encode(event)))
    else:
        said = native.read(kind, _fields(sent.data), account=account)
    at = times.parse(sent.timestamp)
    is_meant = at is not None and EARLIEST <= at <= received_at + FUTURE
    return StandardEvent(said, account, at if at is not None and is_meant else sent_at)


def _read(body: bytes) -> _Sent:
    try:
        body.decode()
        sent = _decode_sent(body)
    except UnicodeDecodeError as error:
        raise SchemaViolation(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise SchemaViolation(f"the webhook's body: {error}") from error
    if not 0 < len(sent.type) <= limits.ID_CHARACTERS:
        raise SchemaViolation(f"type: empty, or longer than {limits.ID_CHARACTERS} characters")
    return sent


def _account(data: Raw | UnsetType) -> str | None:
    try:
        account = _decode_held(data).account if isinstance(data, Raw) else None
    except msgspec.DecodeError:
        return None  # the data is no object: it names nothing
    is_usable = isinstance(account, str) and 0 < len(account) <= limits.ID_CHARACTERS
    return account if isinstance(account, str) and is_usable else None


def _fields(data: Raw | UnsetType) -> personal.Fields:
    try:
        fields = personal.fields_of(data) if isinstance(data, Raw) else {}
    except msgspec.DecodeError as error:
        raise SchemaViolation(f"data: {error}") from error
    return {name: value for name, value in fields.items() if name != "account"}
