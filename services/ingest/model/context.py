"""The context of an event: the named parts that are carried on, and what is read from it.

ip, userAgent and whatever else SDKs collect stop here. Events of one request mostly say the same,
so each distinct context is read once.
"""

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from services.ingest.model import limits, personal
from services.ingest.model.refusals import InvalidJson, SchemaViolation

Identifier = str | int | float | None
Part = Raw | UnsetType


class _Sent(msgspec.Struct, rename="camel"):
    group_id: Identifier = None
    traits: Part = UNSET
    library: Part = UNSET
    page: Part = UNSET
    locale: Part = UNSET
    timezone: Part = UNSET
    app: Part = UNSET
    campaign: Part = UNSET


class _Carried(msgspec.Struct, omit_defaults=True):
    library: Part = UNSET
    page: Part = UNSET
    locale: Part = UNSET
    timezone: Part = UNSET
    app: Part = UNSET
    campaign: Part = UNSET


class Context(NamedTuple):
    """What is known from an event's context."""

    group_id: Identifier
    carried: Part
    traits: Part
    locale: Part
    time_zone: Part


NOTHING = Context(None, UNSET, UNSET, UNSET, UNSET)

_decode = msgspec.json.Decoder(_Sent | None).decode
_encode = msgspec.json.Encoder().encode


class Contexts:
    """Reads the contexts of one request; what the batch says stands under what an event says."""

    def __init__(self, of_batch: Part) -> None:
        """`of_batch` is the batch's own context. Raises InvalidJson when that is unusable."""
        self._known: dict[bytes, Context] = {}
        self._of_batch: personal.Fields = {}
        self._default = NOTHING
        if isinstance(of_batch, Raw) and bytes(of_batch) != b"null":
            try:
                self._of_batch = personal.fields_of(of_batch)
                self._default = self._read(bytes(of_batch))
            except (msgspec.DecodeError, UnicodeDecodeError, SchemaViolation) as error:
                raise InvalidJson(f"the batch's context: {error}") from error

    def read(self, sent: Part) -> Context:
        """The context of one event. Raises SchemaViolation when it cannot be carried on."""
        if not isinstance(sent, Raw):
            return self._default
        source = bytes(sent)
        known = self._known.get(source)
        if known is None:
            known = self._known[source] = self._read(self._merged(source))
        return known

    def _merged(self, source: bytes) -> bytes:
        if not self._of_batch or source == b"null":
            return source
        try:
            return _encode(self._of_batch | personal.fields_of(source))
        except msgspec.DecodeError as error:
            raise SchemaViolation(f"context: {error}") from error

    def _read(self, source: bytes) -> Context:
        if not limits.is_plain(source, objects=1):
            limits.check(source, name="context")
        try:
            sent = _decode(source)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SchemaViolation(f"context: {error}") from error
        if sent is None:
            return self._default
        carried = _encode(
            _Carried(sent.library, sent.page, sent.locale, sent.timezone, sent.app, sent.campaign)
        )
        return Context(
            sent.group_id,
            Raw(carried) if carried != b"{}" else UNSET,
            sent.traits,
            sent.locale,
            sent.timezone,
        )
