"""Who sends, and what: the key of a request, and its body within the bytes that may be held."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import Receive, Scope

from services.ingest.api.delivery import Delivery
from services.ingest.model import body as bodies
from services.ingest.model import keys as key_form
from services.ingest.model.refusals import NotDurable, PayloadTooLarge, RequestRefused
from services.ingest.settings import IngestSettings
from shared import auth, telemetry
from shared.clock import Clock
from shared.db import Database

BODY_SECONDS = 30.0  # a body that comes slower is given up
SENDERS = 10_000

Headers = Mapping[bytes, bytes]


class Disconnected(Exception):
    """The client is gone: nobody to answer."""


class SlowBody(RequestRefused):
    """The client took too long to send the body."""

    code = "body_timeout"
    status = 408


@dataclass(frozen=True)
class Sender:
    """A key that may write, and the settings of its workspace that an event needs."""

    caller: auth.Caller
    event_mapping: Mapping[str, str]


class Requests:
    """Reads requests: keys from memory where possible, bodies within a budget of bytes."""

    def __init__(
        self, settings: IngestSettings, database: Database, delivery: Delivery, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._delivery = delivery
        self._keys = auth.Keys(database, cache_seconds=settings.key_cache_seconds)
        self._clock = clock
        self._senders: dict[str, Sender] = {}
        self._body_bytes = 0

    async def sender(self, key: str) -> Sender:
        """Who may write with `key`. Raises InvalidKey, KeyDisabled, ScopeMissing."""
        if not key_form.is_well_formed(key):
            raise auth.InvalidKey("this is no key of ours: its form or its checksum is wrong")
        now = self._clock()
        caller = self._keys.remembered(key, now) or await self._keys.caller(key, now)
        if not caller.may(auth.Scope.WRITE):
            raise auth.ScopeMissing(
                f"this needs a key with scope write, not {sorted(caller.scopes)}"
            )
        sender = self._senders.get(key)
        if sender is None or sender.caller is not caller:
            async with self._database.transaction() as tx:
                workspace = await auth.get_workspace(tx, caller.workspace)
            if len(self._senders) >= SENDERS:
                self._senders.clear()
            sender = Sender(caller, workspace.event_mapping if workspace else {})
            self._senders[key] = sender
        return sender

    # --- bodies ---

    async def body(
        self, headers: Headers, receive: Receive, *, limit_bytes: int, held: "Held"
    ) -> bytes:
        """The body, inflated, within `limit_bytes` before and after. Raises RequestRefused."""
        body = await self.raw_body(headers, receive, limit_bytes=limit_bytes, held=held)
        encoding = headers.get(b"content-encoding", b"").decode("latin-1")
        inflated = bodies.inflated(body, encoding, limit_bytes=limit_bytes)
        if inflated is not body:
            held.hold(len(inflated))
        telemetry.INGEST_BODY_BYTES.labels("inflated").inc(len(inflated))
        return inflated

    async def raw_body(
        self, headers: Headers, receive: Receive, *, limit_bytes: int, held: "Held"
    ) -> bytes:
        """The body as it came, within `limit_bytes`. Raises RequestRefused, Disconnected."""
        said = headers.get(b"content-length", b"")
        if said.isdigit() and int(said) > limit_bytes:
            raise PayloadTooLarge(f"{int(said)} bytes in a body, {limit_bytes} at most")
        message = await receive()
        body: bytes = message.get("body", b"")
        held.hold(len(body))
        if message.get("more_body"):
            body = await self._rest(body, receive, limit_bytes, held)
        elif message["type"] == "http.disconnect":
            raise Disconnected
        _require_within(body, limit_bytes)
        telemetry.INGEST_BODY_BYTES.labels("wire").inc(len(body))
        return body

    async def _rest(self, first: bytes, receive: Receive, limit_bytes: int, held: "Held") -> bytes:
        chunks, size = [first], len(first)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    held.hold(len(chunk))
                    if size > limit_bytes:
                        raise PayloadTooLarge(f"more than {limit_bytes} bytes in a body")
                    chunks.append(chunk)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise SlowBody(f"the body was not there after {BODY_SECONDS:.0f} s") from error
        return b"".join(chunks)

    def hold(self, size: int) -> None:
        """Count bytes of bodies. Raises NotDurable when more is in flight than may be."""
        self._body_bytes += size
        if self._body_bytes + self._delivery.inflight_bytes > self._settings.inflight_bytes:
            raise NotDurable("too much is in flight now; send again in a moment")

    def release(self, size: int) -> None:
        """The bytes are no longer held."""
        self._body_bytes -= size


class Held:
    """What one request holds of the budget."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._bytes = 0

    def hold(self, size: int) -> None:
        """Count bytes for this request too. Raises NotDurable."""
        self._bytes += size
        self._requests.hold(size)

    def release(self) -> None:
        """The request is done."""
        self._requests.release(self._bytes)


def _require_within(body: bytes, limit_bytes: int) -> None:
    if len(body) > limit_bytes:
        raise PayloadTooLarge(f"{len(body)} bytes in a body, {limit_bytes} at most")


# --- credentials ---------------------------------------------------------------------------------


def header_key(headers: Headers) -> str | None:
    """The key of a header: Authorization, else X-Write-Key. Raises InvalidKey."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        key = auth.key_of(authorization.decode("latin-1"))
        if key:
            return key
    return before_colon(headers.get(b"x-write-key", b"").decode("latin-1"))


def query_key(scope: Scope, name: str) -> str | None:
    """The key in the query; None without one."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(name)
    return before_colon(asked[0]) if asked else None


def before_colon(credential: str) -> str | None:
    """Some SDKs send `key:secret` or a masked `key:***` where a key is meant."""
    return credential.partition(":")[0].strip() or None
